"""The endpoint that serves the counter: made, updated, rolled back and deleted.

Each deployment makes a model and an endpoint configuration, `<endpoint>-<time>`, and updates the endpoint to them. The
configuration is tagged with the one that it follows: that is what `rollback` goes back to.
"""

import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import alarms, endpoint_log, objects, scaling
from .account import TAGS, Account
from .endpoints import find
from .errors import JobError, JobFailed, left_behind
from .images import on_gpu, serving_image
from .job import Job
from .serving import ARCHIVE, archive_of
from .settings import Deploy
from .waiting import POLL_S, last_lines

VARIANT = "AllTraffic"
FOLLOWS = "follows"
GPU_HOST = "al2-ami-sagemaker-inference-gpu-3-1"
"""The Ray Serve container's GPU form needs this host: the default one has older drivers."""
STARTUP_TIMEOUT_S = 600
LONGEST_UPDATE_S = 4 * 3600
MINUTE_S = 60
LOG_GROUP = "/aws/sagemaker/Endpoints/"
SETTLING = ("Creating", "Updating", "SystemUpdating", "RollingBack")
Container = dict[str, Any]


def stored(account: Account, place: str, instance_type: str) -> str:
    """s3:// URI of the model.tar.gz at a place: in S3, or a file or an artifact's folder here, which is uploaded.

    An artifact is packed for that type of instance; an archive serves on a GPU only if it was packed so.
    Raises JobError when nothing lies there.
    """
    if place.startswith("s3://"):
        return place
    archive = archive_of(Path(place), gpu=on_gpu(instance_type))
    return objects.put(account, archive, "models", f"{datetime.now(UTC):%Y%m%d-%H%M%S}", ARCHIVE)


def archived(account: Account, instance_type: str, archive: str) -> Container:
    """A container that serves a model.tar.gz in S3 on that type of instance.

    Raises JobError when it is named by no s3:// URI.
    """
    if not re.fullmatch(r"s3://[^/]+/.+\.tar\.gz", archive):
        raise JobError(f"{archive} is no s3:// of a model.tar.gz: `package` makes one")
    return {"Image": serving_image(account.region, instance_type), "ModelDataUrl": archive}


def registered(account: Account, package: str) -> Container:
    """A container that serves a model package. Raises JobError when it is not approved."""
    status = account.client("sagemaker").describe_model_package(ModelPackageName=package).get("ModelApprovalStatus")
    if status != "Approved":
        raise JobError(f"{package} is {status}: `python -m training.jobs approve {package}` first")
    return {"ModelPackageName": package}


def deploy(our: Job, container: Container, sleep: Callable[[float], None] = time.sleep) -> None:
    """Make the endpoint serve a container, or update it; returns once it does, watched by alarms and scaled.

    Raises JobError when the endpoint cannot be updated now, JobFailed when the update failed or was rolled back; then
    the message names what is left of it.
    """
    settings, account = our.settings.deploy, our.account
    sagemaker = account.client("sagemaker")
    before = find(sagemaker, settings.endpoint)
    if before and before["EndpointStatus"] != "InService":
        reason = f" ({before['FailureReason']})" if "FailureReason" in before else ""
        raise JobError(
            f"endpoint {settings.endpoint} is {before['EndpointStatus']}{reason}: wait until it is InService, or "
            "`python -m training.jobs delete` it"
        )
    name = f"{settings.endpoint}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with left_behind() as made:
        sagemaker.create_model(ModelName=name, **model(account, container))
        made.append(f"aws sagemaker delete-model --model-name {name}")
        follows = [{"Key": FOLLOWS, "Value": before["EndpointConfigName"]}] if before else []
        sagemaker.create_endpoint_config(Tags=[*TAGS, *follows], **configuration(account, settings, name))
        made.append(f"aws sagemaker delete-endpoint-config --endpoint-config-name {name}")
        alarms.put(account, settings, VARIANT)
        endpoint_log.keep_for_a_while(account, settings)
        if before:
            _update(our, before, name)
        else:
            made.append(f"aws cloudwatch delete-alarms --alarm-names {' '.join(alarms.names(settings))}")
            sagemaker.create_endpoint(EndpointName=settings.endpoint, EndpointConfigName=name, Tags=TAGS)
            made.append(f"aws sagemaker delete-endpoint --endpoint-name {settings.endpoint}")
        if not our.dry:
            _settle(our, name, sleep)
        scaling.scale(account, settings, VARIANT)


def model(account: Account, container: Container) -> dict[str, Any]:
    """What CreateModel takes, beside the name."""
    aws = account.settings
    network = {"Subnets": list(aws.subnets), "SecurityGroupIds": list(aws.security_groups)}
    return {
        "ExecutionRoleArn": account.role,
        "PrimaryContainer": container,
        "Tags": TAGS,
        **({"VpcConfig": network} if aws.subnets else {}),
    }


def configuration(account: Account, settings: Deploy, name: str) -> dict[str, Any]:
    """What CreateEndpointConfig takes for the model of that name, beside the tags."""
    variant: dict[str, Any] = {
        "VariantName": VARIANT,
        "ModelName": name,
        "InstanceType": settings.instance_type,
        "InitialInstanceCount": settings.instances,
        "ContainerStartupHealthCheckTimeoutInSeconds": STARTUP_TIMEOUT_S,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    if on_gpu(settings.instance_type):
        variant["InferenceAmiVersion"] = GPU_HOST
    request: dict[str, Any] = {"EndpointConfigName": name, "ProductionVariants": [variant]}
    if settings.capture_percent:
        request["DataCaptureConfig"] = {
            "EnableCapture": True,
            "InitialSamplingPercentage": settings.capture_percent,
            "DestinationS3Uri": account.uri("captured"),
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            # What is listed is kept as text; pictures are not, and so are kept as base64.
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
            **({"KmsKeyId": account.settings.kms_key} if account.settings.kms_key else {}),
        }
    return request


def update_policy(settings: Deploy) -> dict[str, Any]:
    """How an update replaces instances: DeploymentConfig of UpdateEndpoint.

    Raises JobError when rolling over a single instance is asked for.
    """
    wait_s = settings.bake_minutes * MINUTE_S
    share = {"Type": "CAPACITY_PERCENT", "Value": settings.step_percent}
    if settings.update == "rolling":
        if settings.instances == 1:
            raise JobError(
                "deploy.update is rolling, which needs deploy.instances of 2 or more: choose another, or more"
            )
        how = {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": share,
                "WaitIntervalInSeconds": wait_s,
                "MaximumExecutionTimeoutInSeconds": LONGEST_UPDATE_S,
            }
        }
    else:
        step = {"canary": {"CanarySize": share}, "linear": {"LinearStepSize": share}}.get(settings.update, {})
        how = {
            "BlueGreenUpdatePolicy": {
                "TrafficRoutingConfiguration": {
                    "Type": settings.update.replace("-", "_").upper(),
                    "WaitIntervalInSeconds": wait_s,
                    **step,
                },
                "MaximumExecutionTimeoutInSeconds": LONGEST_UPDATE_S,
            }
        }
    return {**how, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms.names(settings)]}}


def rollback(our: Job, sleep: Callable[[float], None] = time.sleep) -> str:
    """Update the endpoint to the configuration that its present one follows; returns its name.

    Raises JobError when there is none, JobFailed when the update failed.
    """
    settings, account = our.settings.deploy, our.account
    sagemaker = account.client("sagemaker")
    before = find(sagemaker, settings.endpoint)
    if before is None:
        raise JobError(f"there is no endpoint {settings.endpoint} in {account.region}: `deploy` makes it")
    now = sagemaker.describe_endpoint_config(EndpointConfigName=before["EndpointConfigName"])
    tags = sagemaker.list_tags(ResourceArn=now["EndpointConfigArn"])["Tags"]
    earlier = next((str(tag["Value"]) for tag in tags if tag["Key"] == FOLLOWS), None)
    if earlier is None:
        raise JobError(
            f"{now['EndpointConfigName']} is the first that {settings.endpoint} served: nothing to go back to"
        )
    _update(our, before, earlier)
    if not our.dry:
        _settle(our, earlier, sleep)
    scaling.scale(account, settings, VARIANT)
    return earlier


def delete(our: Job) -> Iterator[str]:
    """Delete the endpoint and what `deploy` made for it, telling each."""
    settings, account = our.settings.deploy, our.account
    sagemaker = account.client("sagemaker")
    if scaling.stop(account, settings, VARIANT):
        yield f"scaling of {settings.endpoint}"
    if find(sagemaker, settings.endpoint):
        sagemaker.delete_endpoint(EndpointName=settings.endpoint)
        yield f"endpoint {settings.endpoint}"
    ours = re.compile(rf"{re.escape(settings.endpoint)}-\d{{8}}-\d{{6}}")
    for kind, key, name in (
        ("endpoint_config", "EndpointConfigs", "EndpointConfigName"),
        ("model", "Models", "ModelName"),
    ):
        pages = sagemaker.get_paginator(f"list_{kind}s").paginate(NameContains=settings.endpoint)
        for found in [one[name] for page in pages for one in page[key] if ours.fullmatch(one[name])]:
            getattr(sagemaker, f"delete_{kind}")(**{name: found})
            yield f"{kind.replace('_', ' ')} {found}"
    account.client("cloudwatch").delete_alarms(AlarmNames=alarms.names(settings))
    yield f"alarms {', '.join(alarms.names(settings))}"


def _update(our: Job, before: dict[str, Any], name: str) -> None:
    account, settings = our.account, our.settings.deploy
    sagemaker = account.client("sagemaker")
    types = {
        str(variant["InstanceType"])
        for config in (before["EndpointConfigName"], name)
        for variant in sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    }
    if len(types) > 1:  # refused while the variant is scaled
        scaling.stop(account, settings, VARIANT)
    sagemaker.update_endpoint(
        EndpointName=settings.endpoint,
        EndpointConfigName=name,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DataCaptureConfig"}],
        DeploymentConfig=update_policy(settings),
    )


def _settle(our: Job, name: str, sleep: Callable[[float], None]) -> None:
    """Wait until the endpoint serves the configuration of that name."""
    endpoint = our.settings.deploy.endpoint
    describe = our.account.client("sagemaker").describe_endpoint
    with our.console.status(f"{endpoint}: starting") as spinner:
        while (told := describe(EndpointName=endpoint))["EndpointStatus"] in SETTLING:
            spinner.update(f"{endpoint}: {told['EndpointStatus']}")
            sleep(POLL_S)
    status, serves = told["EndpointStatus"], told.get("EndpointConfigName")
    if status == "InService" and serves == name:
        return
    reason = told.get("FailureReason", "no reason told")
    happened = f"was rolled back and serves {serves} as before" if status == "InService" else f"is {status}"
    lines = last_lines(our.account, LOG_GROUP + endpoint, VARIANT)
    raise JobFailed("\n".join((f"endpoint {endpoint} {happened}: {reason}", *lines)))
