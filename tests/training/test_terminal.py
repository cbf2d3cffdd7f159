"""What commands of training print is never markup, an escape sequence or a line of others."""

import ast
from pathlib import Path

import pytest
from rich.table import Table

from training.report import terminal

ROOT = Path(terminal.__file__).parents[1]
SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if "jobs" not in path.relative_to(ROOT).parts]
ENDS = ("sys.exit", "SystemExit", "parser.error")


def test_tables_show_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("[/x]", "\x1b[2J", title="[red]:boom:")
    table.add_row("a\x9b\u202e", "two\nlines")
    terminal.print_tables(table)
    said = capsys.readouterr().out
    assert all(shown in said for shown in ("[/x]", "\ufffd[2J", "[red]:boom:", "a\ufffd\ufffd", "two", "lines"))
    assert "\x1b" not in said


def test_whatever_ends_a_command_is_one_line() -> None:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "rich.console" and path != Path(terminal.__file__):
                found.append(f"{path} makes a console")
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ENDS:
                quoted = [each for each in ast.walk(node) if "one_line(" in ast.unparse(each)]
                named = [each for each in ast.walk(node) if isinstance(each, ast.Name) and each.id == "error"]
                if named and not quoted:
                    found.append(f"{path}:{node.lineno}")
    assert found == []
