import ast
import subprocess
import sys
from pathlib import Path

import pytest

from training.__main__ import commands, main

ROOT = Path(__file__).parents[2]


def without_packages(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-S", "-m", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_every_file_on_top_is_a_command_and_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    listed = capsys.readouterr().out
    for name, line in commands().items():
        assert line
        assert line in listed
        assert "def main(" in (ROOT / "training" / f"{name}.py").read_text()
    assert "train" in commands()


def test_the_list_needs_no_package() -> None:
    assert "prepare" in without_packages("training").stdout


@pytest.mark.parametrize("name", commands())
def test_missing_packages_are_told_in_one_line_with_their_group(name: str) -> None:
    told = without_packages(f"training.{name}", "--help")
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert "uv run --group train" in told.stderr


def test_a_progress_bar_draws_nothing_into_a_pipe() -> None:
    for path in (ROOT / "training").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id in ("tqdm", "thread_map"):
                assert "disable" in {keyword.arg for keyword in call.keywords}, f"{path}:{call.lineno}"
