"""Trains the counter on labelled bins.

    python -m training.train --data SET --out runs/first
    python -m training.train --config training/recipes/NAME.toml --data SET --out runs/first
    torchrun --nproc-per-node 2 -m training.train --data SET --out runs/first

SET comes from `training.prepare`. Under SageMaker the folders come from its SM_... variables and hyperparameters arrive
as the same options. `best.pt` is the epoch with the lowest log loss on val, metrics.csv has a row per epoch; test is
never read here. --resume continues a run that was killed, which ends with the same figures. Options of the command
line win over those of --config. The loop is in training/loop: setup, criterion, run.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from inventory.alert_text import one_line

from .loop.config import read_config, to_toml
from .loop.distributed import processes
from .loop.options import Options, option_fields
from .loop.run import fit
from .loop.setup import set_up

FOLDERS = {
    "data": "SM_CHANNEL_DATA",
    "extra": "SM_CHANNEL_EXTRA",
    "out": "SM_OUTPUT_DATA_DIR",
    "model": "SM_MODEL_DIR",
}
"""Options whose default a SageMaker job names, and the variable where it does."""


def parse_options(arguments: Sequence[str] | None = None) -> Options:
    """The options that the command line, its --config and a job's environment name together.

    Exits with 2 and a message when one of them is wrong.
    """
    parser = option_parser()
    values = _read(parser, arguments)
    for name in ("data", "out"):
        if values[name] is None:
            parser.error(f"--{name} is missing")
    return Options.of(values)


def option_parser() -> argparse.ArgumentParser:
    """The command line; its defaults suit a first training."""
    parser = argparse.ArgumentParser(
        description="Train the counter.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--config", type=Path, help="options in a file: a recipe (TOML), or options.json of a run")
    parser.add_argument("--print-config", action="store_true", help="print the options as a recipe, and stop")
    groups: dict[str, Any] = {}
    for group, one in option_fields():
        if group not in groups:
            groups[group] = parser.add_argument_group(group)
        default = one.default if one.default is not MISSING else None
        if one.name in FOLDERS and (folder := os.environ.get(FOLDERS[one.name])):
            default = Path(folder)
        groups[group].add_argument(
            f"--{one.name.replace('_', '-')}",
            default=default,
            help=one.metadata["help"] or None,
            **one.metadata["reading"],
        )
    return parser


def _read(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> dict[str, Any]:
    """The value of each option, by name. Prints them and exits with 0 for --print-config."""
    config = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    config.add_argument("--config", type=Path)
    path = config.parse_known_args(arguments)[0].config
    if path:
        try:
            parser.set_defaults(**read_config(path))
        except (FileNotFoundError, ValueError) as error:
            parser.error(one_line(error))
    values = vars(parser.parse_args(arguments))
    if (channel := os.environ.get("SM_CHANNEL_TEACHER")) and not values["teacher"]:
        values["teacher"] = sorted(Path(channel).rglob("best.pt")) or parser.error(f"no best.pt lies in {channel}")
    values["teacher"] = tuple(values["teacher"])
    if values["print_config"]:
        print(to_toml(values), end="")
        parser.exit()
    return values


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Command line: see the module's docstring."""
    options = parse_options(arguments)
    with processes() as group:
        try:
            figures = fit(set_up(options, group))
        except (FileNotFoundError, ValueError) as error:
            sys.exit(f"train: {one_line(error)}")
        if group.leads:
            print(json.dumps(figures, indent=2))
        return figures


if __name__ == "__main__":
    main()
