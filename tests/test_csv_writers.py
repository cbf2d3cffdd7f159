"""Every CSV that the project writes goes through the one writer whose cells no spreadsheet takes for formulas."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("functions", "local", "model", "samples", "training", "costs", "deploy", "review")
THE_WRITER = ROOT / "functions/inventory/spreadsheets.py"
WRITERS = {"writer", "DictWriter"}


def writers_in(source: str) -> list[int]:
    """Lines that make a writer of the csv module, by its attribute or an imported name."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "csv":
            found += [node.lineno] if node.attr in WRITERS else []
        elif isinstance(node, ast.ImportFrom) and node.module == "csv":
            found += [node.lineno] if WRITERS & {name.name for name in node.names} else []
    return found


def test_only_the_safe_writer_writes_csv_files() -> None:
    paths = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if path != THE_WRITER]
    assert len(paths) > 100
    assert writers_in(THE_WRITER.read_text())
    found = {str(path.relative_to(ROOT)): lines for path in paths if (lines := writers_in(path.read_text()))}
    assert not found, "write them with inventory.spreadsheets.write_rows"
