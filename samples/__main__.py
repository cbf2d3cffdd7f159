"""The command that renders bins.

    python -m samples                                    rewrite the committed samples
    python -m samples --train OUT --count 1600 --seed 1  write a training set in the inbox layout

`python -m samples.render` takes the same options.
"""

import argparse
from pathlib import Path

from .catalogue import write_samples
from .render import write_training_set


def main() -> None:
    """Run the command line; the module's docstring shows it."""
    parser = argparse.ArgumentParser(
        prog="python -m samples", description="Render bins: the committed samples, or a training set."
    )
    parser.add_argument("--train", type=Path, metavar="OUT", help="write a training set into this folder instead")
    parser.add_argument("--count", type=int, default=1600, help="bins in the training set")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other training bins")
    arguments = parser.parse_args()
    if arguments.train:
        write_training_set(arguments.train, arguments.count, arguments.seed)
        print(f"{arguments.count} rendered bins in {arguments.train}")  # noqa: T201
        return
    folder = Path(__file__).parent
    print(f"{len(write_samples(folder))} sample bins in {folder}")  # noqa: T201


if __name__ == "__main__":
    main()
