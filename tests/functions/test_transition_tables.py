"""The tables of transitions are whole, and the pages that show them show the code's."""

from itertools import product
from pathlib import Path

import pytest

from inventory import decision
from inventory.decision import TELLING, WRITING, Knows, News, Seen, transition_tables

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.mark.parametrize("page", [decision.__doc__, ARCHITECTURE.read_text()], ids=["docstring", "architecture"])
def test_a_page_shows_the_tables_of_the_code(page):
    for table in transition_tables().split("\n\n"):
        assert table in page


def test_everything_that_happens_has_its_row():
    assert set(WRITING) == set(Seen)
    impossible = {(Knows.NOTHING, News.SAME)}
    assert set(TELLING) == set(product(Knows, News)) - impossible


def test_who_is_told_nothing_knows_what_he_knew():
    for (knew, news), (told, knows) in TELLING.items():
        assert told is not decision.Told.NOTHING or knows is knew or news is News.REVIEW
