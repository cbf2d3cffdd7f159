"""Where a run's figures go while it runs: TensorBoard, and MLflow when it is asked for."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    """A run of MLflow's tracking server. A resumed training continues its run `run_id`.

    What the server refuses later than at the start is printed and does not end the training.
    """

    def __init__(self, uri: str, run_id: str, name: str, options: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Begin. Raises ValueError when mlflow is not installed or the server does not take the run."""
        try:
            from mlflow import MlflowClient, MlflowException
        except ImportError as error:
            raise ValueError("--mlflow needs mlflow: uv sync --group train --group jobs") from error
        self._refused: type[Exception] = MlflowException
        try:
            self._client = MlflowClient(tracking_uri=uri)
            self.id = run_id or self._create(name, options)
            self._client.update_run(self.id, status="RUNNING")
            tags = {tag: record[tag] for tag in TAGS} | {f"data.{name}": one for name, one in record["digests"].items()}
            for tag, value in tags.items():
                self._client.set_tag(self.id, tag, value)
        except MlflowException as error:
            raise ValueError(f"{uri} does not take the run ({error}): name a tracking server with --mlflow") from error

    def _create(self, name: str, options: Mapping[str, Any]) -> str:
        experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        found = self._client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else self._client.create_experiment(experiment)
        run_id = str(self._client.create_run(number, run_name=name).info.run_id)
        for option, value in options.items():
            self._client.log_param(run_id, option, value)
        return run_id

    def log(self, row: Mapping[str, float]) -> None:
        with self._printed():
            for name, value in row.items():
                self._client.log_metric(self.id, name, value, step=int(row["epoch"]))

    def show(self, images: Tensor) -> None:
        tiled = torch.cat(list(images), 2).permute(1, 2, 0)
        with self._printed():
            self._client.log_image(self.id, (tiled * 255).byte().numpy(), "train.png")

    def end(self, figures: Mapping[str, float], folder: Path) -> None:
        with self._printed():
            for name, value in figures.items():
                self._client.log_metric(self.id, f"best_{name}", value)
            for path in sorted(folder.glob("*.*")):
                if path.suffix in (".csv", ".html", ".json"):
                    self._client.log_artifact(self.id, str(path))
            self._client.set_terminated(self.id)

    @contextmanager
    def _printed(self) -> Iterator[None]:
        try:
            yield
        except self._refused as error:
            print(f"mlflow: {error}", flush=True)
