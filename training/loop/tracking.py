"""Where a run's figures go while it runs: TensorBoard, and MLflow when it is asked for."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

COLLECTED = Path("/opt/ml/output/tensorboard")
"""Where SageMaker collects a job's curves."""
EXPERIMENT = "bincheck"
TAGS = ("run", "commit", "device", "computed_in")


class Tracker(Protocol):
    """A place for figures. `id` is what it calls the run."""

    id: str

    def log(self, row: Mapping[str, float]) -> None:
        """An epoch's figures, "epoch" among them."""

    def show(self, images: Tensor) -> None:
        """Images (n, 3, size, size), 0..1, as the network is trained on them."""

    def end(self, figures: Mapping[str, float], folder: Path) -> None:
        """The figures of the best epoch, and the run's folder."""


class TensorBoard:
    """Curves, images and hyperparameters, in the folder that a job collects or in the run's own."""

    id = ""

    def __init__(self, out: Path, options: Mapping[str, Any]) -> None:
        self._writer = SummaryWriter(COLLECTED if COLLECTED.is_dir() else out / "tensorboard")
        self._options = {
            name: value if isinstance(value, str | bool | int | float) else str(value)
            for name, value in options.items()
        }

    def log(self, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name.replace("val_", "val/"), value, int(row["epoch"]))

    def show(self, images: Tensor) -> None:
        self._writer.add_images("train", images)

    def end(self, figures: Mapping[str, float], folder: Path) -> None:  # noqa: ARG002
        self._writer.add_hparams(
            self._options, {f"best/{name}": value for name, value in figures.items()}, run_name="."
        )
        self._writer.close()


class MLflow:
    """A run of MLflow's tracking server. A resumed training goes on with its run `run_id`."""

    def __init__(self, uri: str, run_id: str, name: str, options: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Begin. Raises ValueError when mlflow is not installed or the server does not answer."""
        try:
            import mlflow
        except ImportError as error:
            raise ValueError("--mlflow needs mlflow: uv sync --group train --group jobs") from error
        self._mlflow = mlflow
        try:
            mlflow.set_tracking_uri(uri)
            mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT)
            run = mlflow.start_run(run_id=run_id or None, run_name=None if run_id else name)
            self.id = str(run.info.run_id)
            mlflow.set_tags({tag: record[tag] for tag in TAGS} | {f"data.{k}": v for k, v in record["digests"].items()})
            if not run_id:
                mlflow.log_params(dict(options))
        except mlflow.exceptions.MlflowException as error:
            raise ValueError(f"{uri} does not take the run ({error}): name a tracking server with --mlflow") from error

    def log(self, row: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(row), step=int(row["epoch"]))

    def show(self, images: Tensor) -> None:
        tiled = torch.cat(list(images), 2).permute(1, 2, 0)
        self._mlflow.log_image((tiled * 255).byte().numpy(), "train.png")

    def end(self, figures: Mapping[str, float], folder: Path) -> None:
        self._mlflow.log_metrics({f"best_{name}": value for name, value in figures.items()})
        for path in sorted(folder.glob("*.*")):
            if path.suffix in (".csv", ".html", ".json"):
                self._mlflow.log_artifact(str(path))
        with suppress(self._mlflow.exceptions.MlflowException):
            self._mlflow.end_run()
