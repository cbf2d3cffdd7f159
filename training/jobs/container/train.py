"""Entry script of training jobs: trains, then leaves in SM_MODEL_DIR what an endpoint serves.

Hyperparameters are options of `training.train`. A job that lost its spot capacity goes on from /opt/ml/checkpoints,
where each job has a folder of its own: all trials of a tuning share the place in S3.
"""

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from training import export, train
from training.jobs.endpoint.serving import write_serving_folder

CHECKPOINTS = Path("/opt/ml/checkpoints")


def main() -> None:
    """Train with the options that the job was given; the process that leads exports."""
    out, kept = Path(os.environ["SM_OUTPUT_DATA_DIR"]), CHECKPOINTS / os.environ["TRAINING_JOB_NAME"]
    train.main([*sys.argv[1:], "--model", str(kept), "--checkpoints", str(kept), "--resume", "true"])
    best = kept / "best.pt"
    if os.environ.get("RANK", "0") == "0" and best.exists():  # a profile leaves none
        served = Path(os.environ["SM_MODEL_DIR"])
        export.export(kept, Path(os.environ["SM_CHANNEL_DATA"]), write_serving_folder(served))
        shutil.copy2(best, out)


if __name__ == "__main__":
    main()
