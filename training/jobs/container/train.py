"""Entry script of training jobs: trains, then leaves in SM_MODEL_DIR what an endpoint serves.

Hyperparameters are options of `training.train`. A job that lost its spot capacity resumes from /opt/ml/checkpoints.
Each job has its own folder there, because all trials of a tuning job share one prefix in S3.
"""

import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from training import evaluate, export, train
from training.jobs.endpoint.serving import write_serving_folder

EVALUATION = "evaluation"
CHECKPOINTS = Path("/opt/ml/checkpoints")


def main() -> None:
    """Train with the job's hyperparameters; rank 0 exports the best epoch and evaluates it on val, as it is served."""
    tracking = os.environ.get("MLFLOW_TRACKING_URI")
    out, kept = Path(os.environ["SM_OUTPUT_DATA_DIR"]), CHECKPOINTS / os.environ["TRAINING_JOB_NAME"]
    folders = ["--model", str(kept), "--checkpoints", str(kept), "--resume", "true"]
    train.main([*sys.argv[1:], *folders, *(["--mlflow", tracking] if tracking else [])])
    best = kept / "best.pt"
    if os.environ.get("RANK", "0") == "0" and best.exists():  # a profile leaves none
        served = Path(os.environ["SM_MODEL_DIR"])
        data, artifact = os.environ["SM_CHANNEL_DATA"], write_serving_folder(served)
        export.export(kept, Path(data), artifact)
        shutil.copy2(best, out)
        report = ["--out", str(out / EVALUATION / "val.json"), "--page", str(out / EVALUATION / "val.html")]
        evaluate.main(["--data", data, "--split", "val", "--artifact", str(artifact), *report])


if __name__ == "__main__":
    main()
