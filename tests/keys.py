"""Keys as S3 takes them: UTF-8 of 1 to 1,024 bytes, with whatever people, other programs and attackers put in."""

import unicodedata

from hypothesis import strategies as st

from inventory.bins import FILES, FOLDERS, KEY_LIMIT_BYTES, is_inbox_key

PIECES = (
    *("523", "00523", "1.0", "BOS1", "IMG_1 [copy]", "Regal-S\u00fcd", "\u6f22", "\U0001f4e6", "x" * 230, "x" * 249),
    *(".", "..", "~", "%", "%2F", "%00", "+", " ", "#", "?", "&", "=1+1", "-1", "@", "'=1", ",", ";", '"', "'", "\\"),
    *("[/x]", "[red]", ":boom:", "{0}", "%s", "\x1b[31m", "\n", "\r", "\t", "\0", "\x7f", "\x85", "\u2028", "\u202e"),
    *("\ufeff", "\u0301", "\u0958", "\u212a", "\ufffe", "state", "keys", "tallies", "s3:", ".jpg", ".json"),
    *FOLDERS,
)
TEXT = st.characters(codec="utf-8")
SEGMENTS = st.lists(st.sampled_from(PIECES) | TEXT.filter(lambda one: one != "/"), min_size=1, max_size=3).map("".join)
SITES = st.lists(SEGMENTS | st.just(""), max_size=3).map("/".join)


def is_key(text: str) -> bool:
    return 0 < len(text.encode()) <= KEY_LIMIT_BYTES


@st.composite
def bins(draw: st.DrawFn) -> tuple[str, str]:
    """The keys of an image and of the metadata of one bin, which may be spelt in two ways."""
    site, id = draw(SITES), draw(SEGMENTS)
    folder = f"{site}/" if site else ""
    image, metadata = (
        draw(st.sampled_from(sorted(files.media_types)).flatmap(lambda ext: st.sampled_from([ext, ext.upper()])))
        for files in FILES.values()
    )
    form = draw(st.sampled_from(["NFC", "NFD", None]))
    spelt = unicodedata.normalize(form, f"{folder}metadata/{id}") if form else f"{folder}metadata/{id}"
    return f"{folder}bin-images/{id}.{image}", f"{spelt}.{metadata}"


BINS = bins().filter(lambda keys: all(map(is_key, keys)) and all(map(is_inbox_key, keys)))
KEYS = (st.lists(SEGMENTS | st.just(""), min_size=1, max_size=4).map("/".join) | st.text(TEXT)).filter(is_key)
