"""Work on many bins at once, where some bins turn out to be unusable."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from .sources import Source, read_first

Item = TypeVar("Item")
Result = TypeVar("Result")


class UnusableBin(Exception):
    """A bin cannot be part of the set. The message is the reason; what differs between bins follows a colon."""


def map_usable(
    work: Callable[[Item], Result], items: Mapping[str, Item], title: str, jobs: int
) -> tuple[list[Result], dict[str, str]]:
    """Apply `work` to the item of each bin id, on `jobs` threads.

    Returns the results in the order of `items`, and the reason for each id whose `work` raised UnusableBin.
    Any other exception of `work` cancels what has not started, and is raised.
    """

    def attempt(item: Item) -> Result | UnusableBin:
        try:
            return work(item)
        except UnusableBin as reason:
            return reason

    results: list[Result] = []
    skipped: dict[str, str] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            outcomes = tqdm(pool.map(attempt, items.values()), title, len(items), unit="bin", disable=None)
            for bin_id, outcome in zip(items, outcomes, strict=True):
                if isinstance(outcome, UnusableBin):
                    skipped[bin_id] = str(outcome)
                else:
                    results.append(outcome)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return results, skipped


def fetch(source: Source, keys: Iterable[str]) -> bytes | None:
    """Read the first of a bin's files that is there, None when all are missing.

    Raises UnusableBin when a file cannot be read, ConnectionError when the source cannot be reached.
    """
    try:
        return read_first(source, keys)
    except ConnectionError:
        raise
    except OSError as error:
        raise UnusableBin(f"unreadable file: {error}") from error
