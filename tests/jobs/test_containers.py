"""What containers do with a request: /opt/ml is laid out as SageMaker lays it out, and the request's entrypoint runs.

The request and its files come from moto. A mount namespace keeps the host's /opt as it is. Requirements are installed
by pip without an index, so that what the environment lacks is an error.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3
import pytest

pytest.importorskip("torch", reason="torch is not installed: uv sync --group train --group dev")

from model.predictor import Predictor
from training.data.bins import read_bins
from training.jobs.steps.training_job import METRICS
from training.loop.epoch_line import figure_regex
from training.prepare import parse_options, prepare

from ..training.builders import far_apart, write_bins, write_set
from .conftest import ROLE

IN_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "--uts")


def _reason_to_skip() -> str:
    if Path(sys.prefix).is_relative_to("/opt") or Path(sys.base_prefix).is_relative_to("/opt"):
        return "Python lies in /opt, which the container's own would hide"
    if shutil.which("unshare") is None or not Path("/opt").is_dir():
        return "unshare or /opt is missing: these tests need Linux"
    tried = subprocess.run([*IN_NAMESPACE, "mount", "--bind", "/tmp", "/opt"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"mount namespaces are not permitted here: {tried.stderr.strip()}"


pytestmark = pytest.mark.skipif(bool(_reason_to_skip()), reason=_reason_to_skip())

TRAIN = f"""
[aws]
role = "{ROLE}"
bucket = "our-bucket"
[train]
data = "s3://our-bucket/a-set"
processes = PROCESSES
[train.options]
size = 32
batch = 10
epochs = 2
labels = 7
mix = "data"
backbone = "test_resnet"
weights = "none"
drop_path = 0
"""


@dataclass(frozen=True)
class Container:
    """A machine of a job: what lies in its /opt, and what its entrypoint printed."""

    opt: Path

    @property
    def ml(self) -> Path:
        return self.opt / "ml"

    def fetch(self, s3_uri: str, folder: Path) -> None:
        """Every object below, as SageMaker brings an input of type S3Prefix; one object becomes a file."""
        place = urlparse(s3_uri)
        prefix = place.path.strip("/")
        for found in boto3.resource("s3").Bucket(place.netloc).objects.filter(Prefix=prefix):
            path = folder / (found.key.removeprefix(prefix).strip("/") or found.key.rsplit("/", 1)[-1])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(found.get()["Body"].read())

    def write(self, path: str, content: object) -> None:
        (self.ml / path).parent.mkdir(parents=True, exist_ok=True)
        (self.ml / path).write_text(json.dumps(content))

    def lay_out(self, channels: list[dict[str, Any]], hyperparameters: dict[str, str], instance_type: str) -> None:
        """What a training job finds in /opt/ml."""
        for channel in channels:
            place = channel["DataSource"]["S3DataSource"]["S3Uri"]
            self.fetch(place, self.ml / "input" / "data" / channel["ChannelName"])
        for folder in ("model", "output/data", "output/tensorboard", "checkpoints"):
            (self.ml / folder).mkdir(parents=True)
        description = {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
        self.write("input/config/hyperparameters.json", hyperparameters)
        self.write("input/config/inputdataconfig.json", {channel["ChannelName"]: description for channel in channels})
        resources = {
            "current_host": "algo-1",
            "current_instance_type": instance_type,
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1"],
            "instance_groups": [
                {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": ["algo-1"]}
            ],
            "network_interface_name": "eth0",
        }
        self.write("input/config/resourceconfig.json", resources)

    def run(self, *command: str, **environment: str) -> str:
        """What it says; fails the test when it fails."""
        (self.opt / "hosts").write_text("127.0.0.1 localhost algo-1\n")
        limited = ("timeout", "--signal=ABRT", "--kill-after=10", "400")  # one that hangs says where
        binds = 'mount --bind "$0" /opt && mount --bind /opt/hosts /etc/hosts && hostname algo-1 && exec "$@"'
        passed_on = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
        done = subprocess.run(
            [*IN_NAMESPACE, *limited, "/bin/sh", "-c", binds, str(self.opt), *command],
            env=passed_on
            | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PIP_NO_INDEX": "1"}
            | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONFAULTHANDLER": "1"}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout


def upload(folder: Path, s3_uri: str) -> None:
    """Put every file below the folder to S3."""
    place, s3 = urlparse(s3_uri), boto3.client("s3")
    for path in folder.rglob("*"):
        if path.is_file():
            key = f"{place.path.strip('/')}/{path.relative_to(folder).as_posix()}"
            s3.put_object(Bucket=place.netloc, Key=key, Body=path.read_bytes())


# Training


@pytest.fixture
def started(jobs: Any, sagemaker: Any, tmp_path: Path) -> Callable[[int], tuple[Container, dict[str, Any]]]:
    """A training job of some processes, before its entrypoint runs, and its description."""

    def start(processes: int) -> tuple[Container, dict[str, Any]]:
        upload(write_set(tmp_path / "set", 70, labels=7), "s3://our-bucket/a-set")
        result = jobs("train", "--no-wait", toml=TRAIN.replace("PROCESSES", str(processes)))
        assert result.exit_code == 0, result.output
        (summary,) = sagemaker.list_training_jobs()["TrainingJobSummaries"]
        description = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
        machine = Container(tmp_path / "opt")
        machine.lay_out(
            description["InputDataConfig"],
            description["HyperParameters"],
            description["ResourceConfig"]["InstanceType"],
        )
        return machine, description

    return start


def train(machine: Container, description: dict[str, Any], **environment: str) -> str:
    algorithm = description["AlgorithmSpecification"]
    command = (*algorithm["ContainerEntrypoint"], *algorithm["ContainerArguments"])
    return machine.run(*command, TRAINING_JOB_NAME=description["TrainingJobName"], **environment)


@pytest.mark.parametrize("processes", [1, 2])
def test_training_container_leaves_what_the_endpoint_unpacks(started: Any, tmp_path: Path, processes: int) -> None:
    machine, description = started(processes)
    printed = train(machine, description, GIT_COMMIT="0123abc", MLFLOW_TRACKING_URI="sqlite:////opt/ml/output/runs.db")
    assert "Requirement already satisfied: timm" in printed
    for name in METRICS:
        assert len(re.findall(figure_regex(name), printed)) == 2, name
    served = machine.ml / "model"
    assert {"config.yaml", "deployment.py", "app.py", "predictor.py", "code", "artifact"} <= {
        path.name for path in served.iterdir()
    }
    answer = Predictor(served / "artifact").predict(read_bins(tmp_path / "set", "test")[0].image.read_bytes())
    assert len(answer.probabilities) == 7
    output = machine.ml / "output"
    recorded = json.loads((output / "data" / "options.json").read_text())
    assert (recorded["processes"], recorded["seed"], recorded["commit"]) == (processes, 0, "0123abc")
    with closing(sqlite3.connect(output / "runs.db")) as tracked:  # as an MLflow server keeps them
        steps = tracked.execute("select step from metrics where key = 'val_log_loss' order by step").fetchall()
    assert steps == [(1,), (2,)]
    assert (output / "data" / "best.pt").is_file()
    assert json.loads((output / "data" / "evaluation" / "val.json").read_text())["bins"] == 14
    assert any((output / "tensorboard").iterdir())
    assert not (output / "failure").exists()


def test_job_that_lost_its_machine_goes_on_from_its_checkpoints(started: Any) -> None:
    machine, description = started(1)
    assert "epoch=2 " in train(machine, description)
    for folder in ("model", "output/data"):  # another machine has only what came back from S3
        shutil.rmtree(machine.ml / folder)
        (machine.ml / folder).mkdir()
    assert "epoch=2 " not in train(machine, description)
    assert (machine.ml / "model" / "artifact" / "counter.onnx").is_file()


def test_containers_need_no_sdk_of_the_jobs() -> None:
    imports = "import training.jobs.container.prepare, training.jobs.endpoint.serving"
    subprocess.run([sys.executable, "-c", f"import sys; sys.modules['sagemaker'] = None; {imports}"], check=True)


def test_trial_of_a_tuning_job_starts_by_the_toolkit_of_its_image(jobs: Any, sagemaker: Any, tmp_path: Path) -> None:
    needed = "sagemaker-training sagemaker-pytorch-training"
    pytest.importorskip("sagemaker_pytorch_container", reason=f"the image's toolkit: uv pip install {needed}")
    upload(write_set(tmp_path / "set", 70, labels=7), "s3://our-bucket/a-set")
    result = jobs(
        "tune", "--no-wait", toml=TRAIN.replace("PROCESSES", "0") + '[tune]\nsearch = ["lr", "loss", "batch"]'
    )
    assert result.exit_code == 0, result.output
    (summary,) = sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    name = summary["HyperParameterTuningJobName"]
    description = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)[
        "TrainingJobDefinition"
    ]
    static = description["StaticHyperParameters"]
    drawn = {"lr": "0.0021", "loss": "focal", "batch": "32", "_tuning_objective_metric": "val_log_loss"}
    machine = Container(tmp_path / "opt")
    machine.fetch(static["sagemaker_submit_directory"], machine.ml)
    here = {"sagemaker_submit_directory": "/opt/ml/sourcedir.tar.gz"}  # moto answers in this process alone
    machine.lay_out(description["InputDataConfig"], static | drawn | here, "ml.g5.xlarge")
    printed = machine.run(
        "train",
        SAGEMAKER_TRAINING_MODULE="sagemaker_pytorch_container.training:main",
        TRAINING_JOB_NAME=f"{name}-001",
        AWS_DEFAULT_REGION="eu-west-1",
    )
    assert len(re.findall(figure_regex("val_log_loss"), printed)) == 2
    options = json.loads((machine.ml / "output" / "data" / "options.json").read_text())
    assert {name: options[name] for name in ("lr", "loss", "batch", "epochs")} == {
        "lr": 0.0021, "loss": "focal", "batch": 32, "epochs": 2,
    }  # fmt: skip
    assert (machine.ml / "checkpoints" / f"{name}-001" / "last.pt").is_file()
    assert (machine.ml / "model" / "artifact" / "counter.json").is_file()


# Processing


def test_processing_containers_make_together_what_one_machine_makes(jobs: Any, sagemaker: Any, tmp_path: Path) -> None:
    source = write_bins(tmp_path / "source", far_apart(30))
    names = [f"data/metadata/{bin_id}.json" for bin_id in far_apart(26)]
    (ids := tmp_path / "list.json").write_text(json.dumps({"1": names}))
    toml = f"""
    [aws]
    role = "{ROLE}"
    bucket = "our-bucket"
    [prepare]
    source = "s3://replaced-below"
    ids = "{ids}"
    instances = 2
    [prepare.options]
    seed = 5
    """
    result = jobs("prepare", "--no-wait", toml=toml)
    assert result.exit_code == 0, result.output
    (summary,) = sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    description = sagemaker.describe_processing_job(ProcessingJobName=summary["ProcessingJobName"])
    application, joined = description["AppSpecification"], tmp_path / "joined"
    for host in ("algo-1", "algo-2"):
        machine = Container(tmp_path / host)
        for one in description["ProcessingInputs"]:
            place = machine.opt / Path(one["S3Input"]["LocalPath"]).relative_to("/opt")
            machine.fetch(one["S3Input"]["S3Uri"], place)
        (output := machine.ml / "processing" / "output").mkdir()
        machine.write("config/resourceconfig.json", {"current_host": host, "hosts": ["algo-1", "algo-2"]})
        arguments = [
            str(source) if word.startswith("s3://") else word for word in application["ContainerArguments"]
        ]  # moto answers in this process alone
        machine.run(*application["ContainerEntrypoint"], *arguments)
        shutil.copytree(output, joined, dirs_exist_ok=True)
    prepare(parse_options(["--source", str(source), "--ids", str(ids), "--seed", "5", "--out", str(tmp_path / "one")]))
    for split in ("train", "val", "test"):
        together, alone = (read_bins(root, split) for root in (joined, tmp_path / "one"))
        assert [bin.id for bin in together] == [bin.id for bin in alone]
        assert [bin.image.read_bytes() for bin in together] == [bin.image.read_bytes() for bin in alone]
