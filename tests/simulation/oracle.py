"""What must hold once all is over, by what was committed and in which order, and nothing else.

It knows nothing of how checks are made: which alerts must exist it says of the committed answers alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inventory.check import Check, KnownUpload
from inventory.check_items import is_check, read_check
from tests.simulation.warehouse import BIN, Commit, Warehouse

RANKS = {"low": 0, "medium": 1, "high": 2}


def violations(house: Warehouse) -> Iterator[str]:
    """Everything that is not as it has to be."""
    for subject in {commit.after.bin for commit in house.commits}:
        yield from _alerts([commit for commit in house.commits if commit.after.bin == subject])
    yield from _answers(house)
    yield from _lost(house)
    yield from _removed(house)
    yield from _reviews(house)
    yield from _audit(house)
    yield from _lists(house)


@dataclass
class Known:
    """What people know of a bin: the answer that they were told last and `of` which check, and what was found since."""

    answer: tuple[object, ...] | None = None
    rank: int = 0
    expected: int | None = None
    found: int | None = None
    of: str | None = None


def expected_alerts(commits: Sequence[Commit]) -> Iterator[str | None]:
    """The kind of alert that each commit must bring, or None."""
    known = Known()
    for number, commit in enumerate(commits):
        said, check = None, commit.spoke
        if commit.reviewed and commit.finding:
            reviewed, speaks = commit.reviewed, commit.after.current and commit.after.current.check
            if known.of == reviewed.check or (known.of and reviewed.check == speaks):
                holding = holding_findings(commits[: number + 1])
                # What is taken back of a check that speaks no more leaves what was found in the one that does.
                taken_back = commit.finding.kind == "withdrawn" and holding.get(speaks or "")
                known.expected, known.found = reviewed.expected, reviewed.actual
                if taken_back:
                    known.expected, known.found = taken_back[-1]
        elif commit.overdue:
            said, known = "unpaired", Known(("unpaired",), RANKS["medium"])
        elif check and not check.reviewed_at and check.status == "match":
            said = "resolved" if known.answer and known.found is None else None
            known = Known()
        elif check and not check.reviewed_at:
            answer = (check.status, check.predicted, check.direction, check.reason)
            rank = RANKS[check.severity or ""]
            looked_at = known.found is None or known.found == known.expected == check.expected
            if answer != known.answer or rank > known.rank or not looked_at:
                said, known = check.status, Known(answer, rank, check.expected, of=check.check)
        yield said


Found = tuple[int | None, int | None]
"""What a record said, and what a person found; None for an image that does not show it."""


def holding_findings(commits: Sequence[Commit]) -> dict[str, list[Found]]:
    """What was found in each check and not taken back, the oldest first."""
    holding: dict[str, list[Found]] = {}
    for commit in commits:
        if commit.finding and commit.reviewed:
            found = holding.setdefault(commit.finding.check, [])
            if commit.finding.kind == "withdrawn":
                found.pop()
            else:
                found.append((commit.reviewed.expected, commit.finding.actual))
    return holding


def _alerts(commits: Sequence[Commit]) -> Iterator[str]:
    for number, (commit, kind) in enumerate(zip(commits, expected_alerts(commits), strict=True)):
        sent = commit.alert.kind if commit.alert else None
        if sent != kind:
            yield f"commit {number}: {sent} was told in place of {kind}"
        if sent == "unpaired" and commit.both_lay_there:
            yield f"commit {number}: unpaired, of a bin that had both"
    ids = [commit.alert.alert_id for commit in commits if commit.alert]
    if len(set(ids)) < len(ids):
        yield "two alerts have one id"


def _answers(house: Warehouse) -> Iterator[str]:
    """Each check answers for what its contents really were."""
    for check in _checks(house):
        addresses = zip((check.image, check.metadata), check.check.split("/"), strict=False)
        image, record = (house.contents.get(((at or "").removeprefix("s3://inbox/"), one)) for at, one in addresses)
        if _is_pair(check) and image is not None and record is not None:
            wanted = ("match" if image == record else "mismatch", image, record)
            if (check.status, check.predicted, check.expected) != wanted:
                yield f"{check.check} is {check.status} in place of {wanted}"


def _lost(house: Warehouse) -> Iterator[str]:
    """What was put last is checked, or waits for its partner; what is gone is recorded, or waited once. Where a removal
    has no event, what an older file has to say once a newer one was removed is nobody's business; where each has one,
    the pair that is left is the current one, and nothing waits that is gone."""
    state, lying, newest = house.store.load(BIN), house.lying(), house.newest_events()
    told_of_all = all(step.action != "remove" for step in house.before + house.steps)
    if len(lying) == 2 and (
        told_of_all or all(newest[part].version == version for part, (_, version) in lying.items())
    ):
        wanted = f"{lying['image'][1]}/{lying['metadata'][1]}"
        if state.current is None or state.current.check != wanted or state.lone:
            yield f"the inbox holds {wanted}: {state.current} speaks, {state.lone} waits"
    if told_of_all and state.lone and state.lone.part not in lying:
        yield f"{state.lone} waits, and is gone"
    paired = {version for check in _checks(house) if _is_pair(check) for version in check.check.split("/")}
    if len(lying) == 1:
        ((part, (_, version)),) = lying.items()
        waits = state.lone.stored.version if state.lone else None
        if version not in paired and waits != version and (told_of_all or newest[part].version == version):
            yield f"{part} {version} lies there alone, and {waits} waits"
    recorded = {version for check in _checks(house) for version in check.check.split("/")}
    waited = {commit.after.lone.stored.version for commit in house.commits if commit.after.lone}
    for part, event in newest.items():
        if event.version not in recorded | waited and part not in lying:
            yield f"{event.key} {event.version} is nowhere"


def _removed(house: Warehouse) -> Iterator[str]:
    """No upload is said to have gone unchecked that was checked, or whose place a newer event had taken."""
    for commit in house.commits:
        before, spoke = commit.before, commit.spoke
        if not before or not spoke or spoke.stray or _is_pair(spoke):
            continue
        key = (spoke.image or spoke.metadata or "").removeprefix("s3://inbox/")
        version = next(one for one in spoke.check.split("/") if one != "-")
        known = before.uploads.get(key, KnownUpload(""))
        if known.version == version and known.recorded and before.current and before.current.check != spoke.check:
            yield f"{key} {version} was checked, and is said to have gone unchecked"
        if house.puts[key, version] < int(known.sequencer[:18] or "0", 16):
            yield f"{key} {version} was replaced, and is said to have gone unchecked"


def _is_pair(check: Check) -> bool:
    return bool(check.image and check.metadata)


def _reviews(house: Warehouse) -> Iterator[str]:
    """The last review that was not taken back stands in its check, on its list; without one nobody reviewed it."""
    holding = holding_findings([commit for commit in house.commits if commit.after.bin == BIN])
    for check in _checks(house):
        item, found = house.table.items[BIN.partition, check.check], holding.get(check.check)
        on = str(item.get("open", "")).partition("#")[0]
        wanted = ("reviewed" if found[-1][1] is not None else "unclear") if found else None
        if on != wanted and (wanted or on in ("reviewed", "unclear")):
            yield f"{check.check} is on {on or 'no list'} in place of {wanted}"
        if (check.reviewed_at is not None, check.actual) != (bool(found), found[-1][1] if found else None):
            yield f"{check.check} says {check.actual} in place of {found}"
        if len(house.store.list_findings(BIN, check.check)) != len(found or []):
            yield f"the reviews of {check.check} are not {found}"


def _audit(house: Warehouse) -> Iterator[str]:
    """Every check with a count has its copy, which waits for a review until one says as the record, or two say the
    same, or most cannot tell."""
    holding = holding_findings([commit for commit in house.commits if commit.after.bin == BIN])
    for check in _checks(house):
        copy = house.table.items.get((BIN.partition, f"/audit/{check.check}"))
        if check.predicted is None or check.expected is None:
            continue
        if copy is None:
            yield f"the audit lacks {check.check}"
            continue
        found = [actual for _, actual in holding.get(check.check, [])]
        counts = [actual for actual in found if actual is not None]
        twice = next((count for count in counts if counts.count(count) > 1), None)
        agreed = twice if twice is not None else (check.expected if counts[:1] == [check.expected] else None)
        over = agreed is not None or len(found) > 2 * len(counts)
        if (copy["open"].partition("#")[0], copy.get("actual")) != ("audited" if over else "audit", agreed):
            yield f"the audit of {check.check} is {copy['open']}, {copy.get('actual')}, and people found {found}"


def _lists(house: Warehouse) -> Iterator[str]:
    """The check that speaks stands open if it has to, and no other does."""
    listed = {
        item["check"]
        for (partition, _), item in house.table.items.items()
        if partition == BIN.partition and str(item.get("open", "")).startswith(("mismatch", "rejected"))
    }
    current = house.store.current_check(house.store.load(BIN))
    stands_open = current and current.status in ("mismatch", "rejected") and not current.reviewed_at
    if listed != ({current.check} if current and stands_open else set()):
        yield f"{sorted(listed)} stand open, and {current} speaks"


def _checks(house: Warehouse) -> list[Check]:
    items = house.table.items.items()
    return [read_check(item) for (partition, _), item in items if partition == BIN.partition and is_check(item)]
