"""The endpoint that serves the counter: created, updated, rolled back and deleted.

Each deployment creates a model and an endpoint configuration, `<endpoint>-<time>`, and updates the endpoint to them.
The configuration has a tag with the name of its predecessor, to which `rollback` returns.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from inventory.addresses import is_s3_address
from training.jobs.aws import objects, waiters
from training.jobs.aws.account import TAGS, Account
from training.jobs.aws.endpoints import find_endpoint
from training.jobs.aws.images import on_gpu, serving_image
from training.jobs.context import JobContext
from training.jobs.endpoint import alarms, log_group, scaling
from training.jobs.endpoint.serving import ARCHIVE, archive_bytes
from training.jobs.errors import JobError, JobFailed, cleanup_hints
from training.jobs.settings import Deploy
from training.jobs.steps.waiting import last_lines

VARIANT = "AllTraffic"
FOLLOWS = "follows"
GPU_HOST = "al2-ami-sagemaker-inference-gpu-3-1"
"""The Ray Serve container's GPU form needs this host: the default one has older drivers."""
STARTUP_TIMEOUT_S = 600
MAX_UPDATE_S = 4 * 3600
MINUTE_S = 60
Container = dict[str, Any]


def archive_uri(account: Account, place: str, instance_type: str) -> str:
    """s3:// URI of a model.tar.gz: `place` itself if it is in S3, else the upload of a file or of an artifact's folder.

    An artifact is packed for the instance type. A file serves on a GPU only if it was packed for one.
    Raises JobError when `place` does not exist.
    """
    if is_s3_address(place):
        return place
    archive = archive_bytes(Path(place), gpu=on_gpu(instance_type))
    return objects.put(account, archive, "models", f"{datetime.now(UTC):%Y%m%d-%H%M%S}", ARCHIVE)


def archive_container(account: Account, instance_type: str, archive: str) -> Container:
    """A container that serves a model.tar.gz in S3 on the instance type.

    Raises JobError when `archive` is no s3:// URI of a model.tar.gz.
    """
    if not re.fullmatch(r"s3://[^/]+/.+\.tar\.gz", archive):
        raise JobError(f"{archive} is no s3:// of a model.tar.gz: `package` makes one")
    return {"Image": serving_image(account.region, instance_type), "ModelDataUrl": archive}


def package_container(account: Account, package: str) -> Container:
    """A container that serves a model package. Raises JobError when the package is not approved."""
    status = account.client("sagemaker").describe_model_package(ModelPackageName=package).get("ModelApprovalStatus")
    if status != "Approved":
        raise JobError(f"{package} is {status}: `python -m training.jobs approve {package}` first")
    return {"ModelPackageName": package}


def deploy(context: JobContext, container: Container) -> None:
    """Create or update the endpoint, with alarms and scaling; returns when it serves the container.

    Raises JobError when the endpoint cannot be updated now. Raises JobFailed when the update failed or was rolled back;
    the message lists the resources that it created.
    """
    settings, account = context.settings.deploy, context.account
    sagemaker = account.client("sagemaker")
    current = find_endpoint(sagemaker, settings.endpoint)
    if current and current["EndpointStatus"] != "InService":
        reason = f" ({current['FailureReason']})" if "FailureReason" in current else ""
        raise JobError(
            f"endpoint {settings.endpoint} is {current['EndpointStatus']}{reason}: wait until it is InService, or "
            "`python -m training.jobs delete` it"
        )
    name = f"{settings.endpoint}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with cleanup_hints() as hints:
        sagemaker.create_model(ModelName=name, **model_request(account, container))
        hints.append(f"aws sagemaker delete-model --model-name {name}")
        follows = [{"Key": FOLLOWS, "Value": current["EndpointConfigName"]}] if current else []
        sagemaker.create_endpoint_config(Tags=[*TAGS, *follows], **endpoint_config_request(account, settings, name))
        hints.append(f"aws sagemaker delete-endpoint-config --endpoint-config-name {name}")
        alarms.put(account, settings, VARIANT)
        log_group.set_log_retention(account, settings)
        if current:
            _update(context, current, name)
        else:
            hints.append(f"aws cloudwatch delete-alarms --alarm-names {' '.join(alarms.names(settings))}")
            sagemaker.create_endpoint(EndpointName=settings.endpoint, EndpointConfigName=name, Tags=TAGS)
            hints.append(f"aws sagemaker delete-endpoint --endpoint-name {settings.endpoint}")
        if not context.dry:
            _wait_in_service(context, name)
        scaling.scale(account, settings, VARIANT)


def model_request(account: Account, container: Container) -> dict[str, Any]:
    """The parameters of CreateModel without the name."""
    aws = account.settings
    network = {"Subnets": list(aws.subnets), "SecurityGroupIds": list(aws.security_groups)}
    return {
        "ExecutionRoleArn": account.role,
        "PrimaryContainer": container,
        "Tags": TAGS,
        **({"VpcConfig": network} if aws.subnets else {}),
    }


def endpoint_config_request(account: Account, settings: Deploy, name: str) -> dict[str, Any]:
    """The parameters of CreateEndpointConfig for the model `name`, without tags."""
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
            # Content types that are listed are captured as text, others, such as images, as base64.
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
            **({"KmsKeyId": account.settings.kms_key} if account.settings.kms_key else {}),
        }
    return request


def update_policy(settings: Deploy) -> dict[str, Any]:
    """How an update replaces instances: DeploymentConfig of UpdateEndpoint.

    Raises JobError when deploy.update is rolling and the endpoint has a single instance.
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
                "MaximumExecutionTimeoutInSeconds": MAX_UPDATE_S,
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
                "MaximumExecutionTimeoutInSeconds": MAX_UPDATE_S,
            }
        }
    return {**how, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms.names(settings)]}}


def rollback(context: JobContext) -> str:
    """Update the endpoint to the predecessor of its configuration; returns the name of that.

    Raises JobError when there is no predecessor, JobFailed when the update failed.
    """
    settings, account = context.settings.deploy, context.account
    sagemaker = account.client("sagemaker")
    current = find_endpoint(sagemaker, settings.endpoint)
    if current is None:
        raise JobError(f"there is no endpoint {settings.endpoint} in {account.region}: `deploy` makes it")
    now = sagemaker.describe_endpoint_config(EndpointConfigName=current["EndpointConfigName"])
    tags = sagemaker.list_tags(ResourceArn=now["EndpointConfigArn"])["Tags"]
    previous = next((str(tag["Value"]) for tag in tags if tag["Key"] == FOLLOWS), None)
    if previous is None:
        raise JobError(
            f"{now['EndpointConfigName']} is the first that {settings.endpoint} served: nothing to go back to"
        )
    _update(context, current, previous)
    if not context.dry:
        _wait_in_service(context, previous)
    scaling.scale(account, settings, VARIANT)
    return previous


def delete(context: JobContext) -> Iterator[str]:
    """Delete the endpoint and what `deploy` created for it; yields a line for each resource."""
    settings, account = context.settings.deploy, context.account
    sagemaker = account.client("sagemaker")
    if scaling.stop(account, settings, VARIANT):
        yield f"scaling of {settings.endpoint}"
    if find_endpoint(sagemaker, settings.endpoint):
        sagemaker.delete_endpoint(EndpointName=settings.endpoint)
        yield f"endpoint {settings.endpoint}"
    name_pattern = re.compile(rf"{re.escape(settings.endpoint)}-\d{{8}}-\d{{6}}")
    for kind, key, name in (
        ("endpoint_config", "EndpointConfigs", "EndpointConfigName"),
        ("model", "Models", "ModelName"),
    ):
        pages = sagemaker.get_paginator(f"list_{kind}s").paginate(NameContains=settings.endpoint)
        for found in [one[name] for page in pages for one in page[key] if name_pattern.fullmatch(one[name])]:
            getattr(sagemaker, f"delete_{kind}")(**{name: found})
            yield f"{kind.replace('_', ' ')} {found}"
    account.client("cloudwatch").delete_alarms(AlarmNames=alarms.names(settings))
    yield f"alarms {', '.join(alarms.names(settings))}"


def _update(context: JobContext, current: dict[str, Any], name: str) -> None:
    account, settings = context.account, context.settings.deploy
    sagemaker = account.client("sagemaker")
    types = {
        str(variant["InstanceType"])
        for config in (current["EndpointConfigName"], name)
        for variant in sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    }
    if len(types) > 1:  # SageMaker refuses to change the type of a variant that is scaled
        scaling.stop(account, settings, VARIANT)
    sagemaker.update_endpoint(
        EndpointName=settings.endpoint,
        EndpointConfigName=name,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DataCaptureConfig"}],
        DeploymentConfig=update_policy(settings),
    )


def _wait_in_service(context: JobContext, name: str) -> None:
    """Wait until the endpoint serves the configuration `name`. Raises JobFailed when it does not."""
    endpoint = context.settings.deploy.endpoint
    with context.console.status(f"{endpoint}: starting") as spinner:

        def show(description: Mapping[str, Any]) -> None:
            spinner.update(f"{endpoint}: {description['EndpointStatus']}")

        client = context.account.client("sagemaker")
        description = waiters.wait(client, "endpoint_update_ended", "DescribeEndpoint", show, EndpointName=endpoint)
    status, serves = description["EndpointStatus"], description.get("EndpointConfigName")
    if status == "InService" and serves == name:
        return
    reason = description.get("FailureReason", "no reason reported")
    happened = f"was rolled back and serves {serves} as before" if status == "InService" else f"is {status}"
    lines = last_lines(context.account, log_group.name(endpoint), VARIANT)
    raise JobFailed("\n".join((f"endpoint {endpoint} {happened}: {reason}", *lines)))
