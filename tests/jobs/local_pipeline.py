"""Runs a pipeline's own definition here, one step after the other, without AWS.

Each step's request goes to moto, which checks it and describes what it made; then the work is done: entrypoints of
processing and training jobs run where /opt/ml is laid out as in their container, and a transform posts its objects to
the application that serves the model.
"""

import json
import operator
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import boto3

from model.app import create_app
from training.jobs.steps.archives import unpack

from ..contracts.batch_transform import batch_transform
from ..contracts.ray_container import serving
from .test_containers import Container, upload

PART = re.compile(r"\['([^']+)'\]|\[(\d+)\]|([^.\[\]]+)")
CONDITIONS = {"GreaterThanOrEqualTo": operator.ge}


class LocalExecution:
    """An execution in a folder; `environment` is what containers reach the API with.

    A step with a cache is not run again when `earlier` ran it with the same request, its own outputs aside.
    """

    def __init__(
        self,
        definition: Mapping[str, Any],
        name: str,
        folder: Path,
        environment: Mapping[str, str],
        earlier: "LocalExecution | None" = None,
    ) -> None:
        self.name, self.folder, self.environment, self.earlier = name, folder, environment, earlier
        self.ran: list[str] = []
        self.cached: list[str] = []
        self._requests: dict[str, Any] = {}
        defaults = {one["Name"]: one["DefaultValue"] for one in definition["Parameters"]}
        self._known: dict[str, Any] = {
            "Parameters": defaults,
            "Execution": {"PipelineExecutionId": name},
            "Steps": {},
        }
        self._files: dict[tuple[str, str], str] = {}
        self._steps = definition["Steps"]
        self._sagemaker = boto3.client("sagemaker")

    def run(self) -> None:
        """Raises ValueError when a step is of a kind that does not run here, or needs what has not run."""
        self._run(self._steps)

    def _run(self, steps: list[dict[str, Any]]) -> None:
        kinds: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
            "Processing": self._process,
            "Training": self._train,
            "Model": self._make_model,
            "Transform": self._transform,
        }
        for step in steps:
            name, kind, request = step["Name"], step["Type"], step["Arguments"]
            self.ran.append(name)
            if kind == "Condition":
                good = all(self._holds(condition) for condition in request["Conditions"])
                self._run(request["IfSteps" if good else "ElseSteps"])
            elif kind in kinds:
                self._requests[name] = resolved = self._resolved(request)
                if self._is_cached(step):
                    self.cached.append(name)
                    self._known["Steps"][name] = self.earlier._known["Steps"][name]
                else:
                    self._known["Steps"][name] = kinds[kind](name, resolved)
                self._note_files(step)
            else:
                raise ValueError(f"step {name} is of type {kind}, which does not run here")

    def _is_cached(self, step: dict[str, Any]) -> bool:
        if self.earlier is None or not step.get("CacheConfig", {}).get("Enabled"):
            return False
        own, before = (json.dumps(one._requests[step["Name"]]) for one in (self, self.earlier))
        return own.replace(f"/{self.name}/", f"/{self.earlier.name}/") == before

    def _resolved(self, value: Any) -> Any:
        """The value with every expression in it replaced by what it stands for."""
        if isinstance(value, list):
            return [self._resolved(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "Get" in value:
            return self._get(value["Get"])
        if "Std:Join" in value:
            joined = value["Std:Join"]
            return joined["On"].join(str(self._resolved(one)) for one in joined["Values"])
        if "Std:JsonGet" in value:
            wanted = value["Std:JsonGet"]
            _, step, _, file = wanted["PropertyFile"]["Get"].split(".")
            place = urlparse(self._files[step, file])
            body = boto3.client("s3").get_object(Bucket=place.netloc, Key=place.path.strip("/"))["Body"]
            return _at(json.load(body), wanted["Path"])
        return {name: self._resolved(one) for name, one in value.items()}

    def _get(self, path: str) -> Any:
        try:
            return _at(self._known, path)
        except (KeyError, IndexError, StopIteration) as error:
            raise ValueError(f"{path} is not known: of {self.ran} none left it") from error

    def _holds(self, condition: dict[str, Any]) -> bool:
        left, right = (self._resolved(condition[side]) for side in ("LeftValue", "RightValue"))
        return bool(CONDITIONS[condition["Type"]](left, right))

    def _note_files(self, step: dict[str, Any]) -> None:
        for file in step.get("PropertyFiles", []):
            output = self._get(f"Steps.{step['Name']}.ProcessingOutputConfig.Outputs['{file['OutputName']}']")
            self._files[step["Name"], file["PropertyFileName"]] = f"{output['S3Output']['S3Uri']}/{file['FilePath']}"

    def _process(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        job = f"{self.name}-{name}"
        self._sagemaker.create_processing_job(ProcessingJobName=job, **request)
        machine = Container(self.folder / job)
        for one in request["ProcessingInputs"]:
            machine.fetch(one["S3Input"]["S3Uri"], machine.opt / Path(one["S3Input"]["LocalPath"]).relative_to("/opt"))
        (machine.ml / "processing" / "output").mkdir(parents=True)
        machine.write("config/resourceconfig.json", {"current_host": "algo-1", "hosts": ["algo-1"]})
        application = request["AppSpecification"]
        machine.run(
            *application["ContainerEntrypoint"],
            *application["ContainerArguments"],
            **self.environment | request.get("Environment", {}),
        )
        for output in request.get("ProcessingOutputConfig", {}).get("Outputs", []):
            made = machine.opt / Path(output["S3Output"]["LocalPath"]).relative_to("/opt")
            upload(made, output["S3Output"]["S3Uri"])
        return dict(self._sagemaker.describe_processing_job(ProcessingJobName=job))

    def _train(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        job = f"{self.name}-{name}"
        self._sagemaker.create_training_job(TrainingJobName=job, **request)
        machine = Container(self.folder / job)
        machine.lay_out(
            request["InputDataConfig"], request["HyperParameters"], request["ResourceConfig"]["InstanceType"]
        )
        algorithm = request["AlgorithmSpecification"]
        machine.run(
            *algorithm["ContainerEntrypoint"],
            *algorithm["ContainerArguments"],
            **self.environment | {"TRAINING_JOB_NAME": job},
        )
        description = dict(self._sagemaker.describe_training_job(TrainingJobName=job))
        with tarfile.open(packed := machine.opt / "model.tar.gz", "w:gz") as tar:
            for path in sorted((machine.ml / "model").iterdir()):
                tar.add(path, path.name)
        place = urlparse(description["ModelArtifacts"]["S3ModelArtifacts"])
        boto3.client("s3").upload_file(str(packed), place.netloc, place.path.strip("/"))
        return description

    def _make_model(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        made = f"{self.name}-{name}"
        self._sagemaker.create_model(ModelName=made, **request)
        return dict(self._sagemaker.describe_model(ModelName=made))

    def _transform(self, name: str, request: dict[str, Any]) -> dict[str, Any]:
        job = f"{self.name}-{name}"
        self._sagemaker.create_transform_job(TransformJobName=job, **request)
        machine = Container(self.folder / job)
        served = self._sagemaker.describe_model(ModelName=request["ModelName"])["PrimaryContainer"]["ModelDataUrl"]
        machine.fetch(served, machine.opt)
        with tarfile.open(machine.opt / "model.tar.gz") as tar:
            unpack(tar, machine.ml / "model")
        machine.fetch(request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"], machine.ml / "input")
        (answers := machine.ml / "output").mkdir()
        with serving(create_app(machine.ml / "model" / "artifact")) as url:
            batch_transform(url, machine.ml / "input", request["TransformInput"]["ContentType"], answers)
        upload(answers, request["TransformOutput"]["S3OutputPath"])
        return dict(self._sagemaker.describe_transform_job(TransformJobName=job))


def _at(value: Any, path: str) -> Any:
    """What lies at a path such as `Outputs['set'].S3Output` or `gain.low`; lists are searched by OutputName."""
    for key, index, name in PART.findall(path):
        if key:
            value = next(one for one in value if one["OutputName"] == key)
        else:
            value = value[int(index)] if index else value[name]
    return value
