"""Runs trainings one after another in the processes that torchrun started: `python -m ... two_processes CASES.json`.

CASES.json maps a name to the command line of `training.train`. Every rank has to reach the end of each.
"""

import json
import sys
from pathlib import Path

from training.loop.distributed import processes
from training.loop.run import fit
from training.loop.setup import set_up
from training.train import parse_options


def main() -> None:
    cases = json.loads(Path(sys.argv[1]).read_text())
    with processes() as group:
        for name, arguments in cases.items():
            figures = fit(set_up(parse_options(arguments), group))
            ended = group.gather(figures)
            if group.leads:
                Path(sys.argv[1]).with_name(f"{name}.json").write_text(json.dumps(ended))


if __name__ == "__main__":
    main()
