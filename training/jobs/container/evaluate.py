"""Entry of processing jobs that judge: joins the answers of a batch transform with the labels of the set.

Arguments are options of `training.evaluate`; report and page go to /opt/ml/processing/output.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from training import evaluate

FOLDER = Path("/opt/ml/processing")
SPLIT = "--split"


@contextmanager
def input_set(split: str) -> Iterator[Path]:
    """The set, put together from what the job was given of it; it is gone afterwards."""
    inputs = FOLDER / "input"
    with TemporaryDirectory() as folder:
        for name, place in (
            ("index.csv", inputs / "index" / "index.csv"),
            ("metadata", inputs / "metadata"),
            (split, inputs / "images"),
        ):
            (Path(folder) / name).symlink_to(place)
        yield Path(folder)


def judge(options: Sequence[str]) -> None:
    """Judge the answers that the job was given, with options of `training.evaluate`, --split among them."""
    answers, out = FOLDER / "input" / "answers", FOLDER / "output"
    with input_set(options[options.index(SPLIT) + 1]) as folder:
        places = ("--data", str(folder), "--answers", str(answers))
        evaluate.main(
            [*places, "--out", str(out / "evaluation.json"), "--page", str(out / "evaluation.html"), *options]
        )


def main() -> None:
    """Judge with the options that the job was given."""
    judge(sys.argv[1:])


if __name__ == "__main__":
    main()
