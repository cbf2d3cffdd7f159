"""How the counter's artifact is made; `python -m training` lists the commands."""

import sys
from types import TracebackType


def _name_the_group(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if (
        isinstance(error, ModuleNotFoundError)
        and error.name
        and error.name.split(".")[0] not in ("autogluon", __name__)
    ):
        print(
            f"{error.name} is not installed: give the command as `uv run --group train python -m ...`", file=sys.stderr
        )
    else:
        sys.__excepthook__(kind, error, traceback)


if sys.argv[:1] == ["-m"] and not any(word.startswith("training.jobs") for word in sys.orig_argv):
    sys.excepthook = _name_the_group  # python -m training.COMMAND imports this file first
