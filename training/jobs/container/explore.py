"""Entry script of exploring jobs, in AutoGluon's container. Hyperparameters are options of `training.explore`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from training import explore

if __name__ == "__main__":
    explore.main()
