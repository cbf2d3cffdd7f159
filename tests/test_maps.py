"""docs/map.md shows the code as it is."""

from tests.maps import PAGE, page


def test_the_map_is_drawn_from_the_code_as_it_is():
    assert PAGE.read_text() == page(), "the code has changed: `make map` draws the page anew"
