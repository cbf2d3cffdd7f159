"""The model registry: versions of the counter with figures and model card, which a person approves."""

import hashlib
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from inventory.addresses import is_s3_address
from training.jobs.aws import objects
from training.jobs.aws.account import TAGS, Account
from training.jobs.endpoint.deployment import archive_container
from training.jobs.errors import JobError
from training.jobs.settings import Registry, Settings

ARTIFACT_FILES = ("artifact/counter.onnx", "artifact/counter.json")
CARD_FILE = "MODEL_CARD.md"
TRAINED = re.compile(r"/([^/]+)/output/model\.tar\.gz$")
MAX_TEXT = 2048
MAX_OBSERVATION = 1024
Report = Mapping[str, Any]


@dataclass(frozen=True)
class Archive:
    """The contents of a model.tar.gz: its `model` name, counter.json as `about`, and its model card."""

    uri: str
    model: str
    about: Mapping[str, Any]
    card: str


def read_archive(uri: str, data: bytes) -> Archive:
    """The contents of the model.tar.gz from `uri`. Raises JobError when it is no archive of a counter."""
    try:
        with tarfile.open(fileobj=BytesIO(data), mode="r:gz") as tar:
            network, about = (_member(tar, name) for name in ARTIFACT_FILES)
            card = _member(tar, CARD_FILE).decode()
        described = json.loads(about)
        model = f"{described['name']}@{hashlib.sha256(network + about).hexdigest()[:12]}"
    except (tarfile.TarError, KeyError, OSError, ValueError) as error:
        raise JobError(f"{uri} is no archive of a counter ({error}): `package` or a training job makes one") from error
    return Archive(uri, model, described, card)


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise KeyError(f"{name} is no file")
    return file.read()


def model_metrics(report: Report) -> dict[str, Any]:
    """The figures of an evaluation in the format of the registry's pages."""
    return {
        "multiclass_classification_metrics": {
            name: {"value": figure["value"], "standard_deviation": "NaN", "interval": figure["interval"]}
            for name, figure in report["figures"].items()
        },
        **{name: report[name] for name in ("model", "split", "bins")},
    }


def model_card(archive: Archive, report: Report) -> dict[str, Any]:
    """Content of a model package's card: the text of the archive's card and the figures of the evaluation."""
    sections = _sections(archive.card)
    figures = [
        {"name": name, "type": "number", "value": figure["value"], "notes": f"95% interval {figure['interval']}"}
        for name, figure in report["figures"].items()
        if figure["value"] is not None
    ]
    texts = {
        ("intended_uses", "purpose_of_model"): sections.get("", ""),
        ("additional_information", "caveats_and_recommendations"): sections.get("Limits", ""),
        ("additional_information", "ethical_considerations"): sections.get("Data and licence", ""),
    }
    content: dict[str, Any] = {
        "model_overview": {"model_creator": "bincheck", "model_artifact": [archive.uri]},
        "training_details": {"training_observations": json.dumps(_origin(archive))[:MAX_OBSERVATION]},
        "evaluation_details": [
            {
                "name": f"{report['split']}, {report['bins']} bins",
                "evaluation_observation": f"Bytes in, answers out, of {report['model']}.",
                "metric_groups": [{"name": "figures", "metric_data": figures}],
            }
        ],
    }
    for (part, name), text in texts.items():
        if text:
            content.setdefault(part, {})[name] = text[:MAX_TEXT]
    content.setdefault("additional_information", {})["custom_details"] = _origin(archive)
    return content


def _sections(markdown: str) -> dict[str, str]:
    """The text below each heading of level 2; the text before the first heading is at ""."""
    parts = re.split(r"^## (.+)$", re.sub(r"\A# .*\n", "", markdown), flags=re.MULTILINE)
    return dict(zip(("", *parts[1::2]), (text.strip() for text in parts[0::2]), strict=True))


def _origin(archive: Archive) -> dict[str, str]:
    """Model, code, backbone and data digests of an archive."""
    about = archive.about
    known = {"model": archive.model, "code": about.get("code"), "backbone": about.get("backbone")}
    known |= {f"data-{split}": digest for split, digest in about.get("data", {}).items()}
    return {name: str(value) for name, value in known.items() if value}


def require_same_model(archive: Archive, report: Report) -> None:
    """Raises JobError when the report is of another model."""
    if report["model"] != archive.model:
        raise JobError(f"the report judges {report['model']}, the archive holds {archive.model}: evaluate the archive")


def register(account: Account, settings: Settings, archive: Archive, report: Report) -> str:
    """Add a version to the group, which is created if it does not exist; returns its ARN."""
    registry = settings.registry
    sagemaker = account.client("sagemaker")
    _make_group(account, registry.group)
    figures = json.dumps(model_metrics(report), indent=2).encode()
    metrics = objects.put(account, figures, "metrics", f"{archive.model.rpartition('@')[2]}.json")
    made = sagemaker.create_model_package(
        ModelPackageGroupName=registry.group,
        ModelPackageDescription=f"{archive.model}, judged on {report['split']}",
        InferenceSpecification={
            "Containers": [archive_container(account, settings.deploy.instance_type, archive.uri)],
            "SupportedContentTypes": ["image/jpeg", "image/png"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        ModelApprovalStatus="PendingManualApproval",
        ModelMetrics={"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": metrics}}},
        ModelCard={"ModelCardContent": json.dumps(model_card(archive, report)), "ModelCardStatus": "PendingReview"},
        CustomerMetadataProperties=_origin(archive),
        **_lineage(account, archive.uri),
    )
    return str(made["ModelPackageArn"])


def _make_group(account: Account, group: str) -> None:
    sagemaker = account.client("sagemaker")
    pages = sagemaker.get_paginator("list_model_package_groups").paginate(NameContains=group)
    if any(found["ModelPackageGroupName"] == group for page in pages for found in page["ModelPackageGroupSummaryList"]):
        return
    sagemaker.create_model_package_group(
        ModelPackageGroupName=group,
        ModelPackageGroupDescription="Counts the objects in an image of a warehouse bin.",
        Tags=TAGS,
    )


def _lineage(account: Account, uri: str) -> dict[str, Any]:
    """The training job whose output the archive is, for the lineage; empty for another archive."""
    if not (job := TRAINED.search(uri)):
        return {}
    arn = f"arn:{account.partition}:sagemaker:{account.region}:{account.id}:training-job/{job[1]}"
    return {"MetadataProperties": {"GeneratedBy": arn}}


def latest(account: Account, registry: Registry, status: str) -> str:
    """ARN of the newest version with the approval status. Raises JobError when there is none."""
    found = account.client("sagemaker").list_model_packages(
        ModelPackageGroupName=registry.group,
        ModelApprovalStatus=status,
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=1,
    )["ModelPackageSummaryList"]
    if not found:
        raise JobError(
            f"{registry.group} has no {status} model package: `register` adds one, `approve` approves it; "
            "or name a --model"
        )
    return str(found[0]["ModelPackageArn"])


def set_approval(account: Account, package: str, *, approved: bool, reason: str) -> None:
    """Approve or reject a version."""
    account.client("sagemaker").update_model_package(
        ModelPackageArn=package,
        ModelApprovalStatus="Approved" if approved else "Rejected",
        **({"ApprovalDescription": reason} if reason else {}),
    )


def read_report(account: Account, place: str) -> Report:
    """A report of `training.evaluate`, from a file or an s3:// URI. Raises JobError when it is no report."""
    try:
        text = objects.get(account, place) if is_s3_address(place) else Path(place).read_bytes()
        report: Report = json.loads(text)
        if missing := {"model", "split", "bins", "figures"} - set(report):
            raise ValueError(f"it has no {', '.join(sorted(missing))}")
    except (OSError, ValueError) as error:
        raise JobError(f"{place} is no report of `training.evaluate --out` ({error})") from error
    return report
