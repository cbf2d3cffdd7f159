"""What commands print. Names of bins, files and values of lists come from other people: nothing here reads markup, and
a replacement character stands for each control character."""

from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from inventory.alert_text import visible


class _Terminal(Console):
    def __init__(self, width: int | None) -> None:
        super().__init__(width=width, markup=False, highlight=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """rich calls this for each string of a table."""
        lines = "\n".join(map(visible, text.split("\n")))
        return Text(lines, style=options.get("style", ""), justify=options.get("justify"))


def print_tables(*tables: RenderableType, width: int | None = None) -> None:
    """Print tables; as wide as the terminal without a width."""
    _Terminal(width).print(*tables)
