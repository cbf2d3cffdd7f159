"""Lists the commands of training, each with the first line of its docstring; imports none of them."""

import ast
from pathlib import Path


def commands() -> dict[str, str]:
    """What each file on top of this folder does, by its name."""
    paths = (path for path in sorted(Path(__file__).parent.glob("*.py")) if not path.stem.startswith("__"))
    return {path.stem: (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0] for path in paths}


def main() -> None:
    """Command line: see the module's docstring."""
    print("uv run --group train python -m training.COMMAND --help\n")
    for name, line in commands().items():
        print(f"  {name:<12} {line}")
    print("\nJobs in SageMaker: uv run --group jobs python -m training.jobs --help")


if __name__ == "__main__":
    main()
