"""Finds the bins that the ids of a list stand for. Ids are strings, and spreadsheets change them."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from inventory.bins import FILES, composed

from .tables import bare

NAMED = 10
"""So many ids of a list are named in a message."""
_ENDING = re.compile(rf"\.(0+|{'|'.join(name for files in FILES.values() for name in files.media_types)})$", re.I)
_AS_TEXT = re.compile(r'="(.*)"|\'(.*)', re.DOTALL)


@dataclass(frozen=True)
class Matches:
    """What became of the ids of a list: `found` has the bin of each listed id that has one. `unmatched` has the others,
    each with the id of the bin that it would match if it were written otherwise, or "" if there is none."""

    found: Mapping[str, str]
    unmatched: Mapping[str, str]

    def advice(self) -> str:
        """Names listed ids that match no bin, and how they would; "" if there are none."""
        if not self.unmatched:
            return ""
        names = [f"{listed} as {bin}" if bin else listed for listed, bin in self.unmatched.items()]
        shown = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
        text = f"{len(names)} of {len(names) + len(self.found)} ids match no bin: {shown}"
        if not any(self.unmatched.values()):
            return text
        padded = any(bin.startswith("0") and not listed.startswith("0") for listed, bin in self.unmatched.items())
        how = "with their leading zeros" if padded else "as the bins' files are named"
        return f"{text}. Written {how} they would: format the column id as text, and write them so"


def match_ids(listed: Iterable[str], bins: Collection[str]) -> Matches:
    """Match ids of a list with those of bins: as they are, else without what a spreadsheet puts around them."""
    named_alike: dict[str, list[str]] = {}
    for bin in bins:
        named_alike.setdefault(_essence(bin), []).append(bin)
    known = frozenset(bins)
    found, unmatched = {}, {}
    for each in dict.fromkeys(listed):
        match = next((id for id in (each, plain_id(each)) if id in known), None)
        if match is None:
            alike = named_alike.get(_essence(each), []) if plain_id(each) else []
            unmatched[each] = alike[0] if len(alike) == 1 else ""
        else:
            found[each] = match
    return Matches(found, unmatched)


def plain_id(cell: str) -> str:
    """The id in a cell: without blanks around it, the marks that keep it a text, and with composed accents."""
    text = bare(cell)
    marked = _AS_TEXT.fullmatch(text)
    return composed(bare(marked[1] or marked[2] or "") if marked else text)


def _essence(id: str) -> str:
    """What remains of an id that lost or got leading zeros, capitals, decimals or the ending of its file."""
    return _ENDING.sub("", plain_id(id)).lstrip("0").casefold()
