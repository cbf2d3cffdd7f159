"""Who asks, and whether the account has room: names and quotas."""

from collections import Counter
from collections.abc import Iterator

from botocore.exceptions import ClientError

from local.stack.doctor.values import Answer, Place, failed, ok, warning

ALERTERS = 2
OTHERS = 4
"""Concurrent executions besides Checkers and queued alerts: the schedules, the stream, the Counter, the review page."""
INSTANCE_TYPE = "ml.c6i.xlarge"
INSTANCES = 4
"""The instance type of an endpoint and the most of them, unless the settings of the jobs say otherwise."""
NO_SUCH_ENDPOINT = "Could not find"


def credentials(place: Place) -> Iterator[Answer]:
    """the account, the user or role, and the region"""
    caller = place.cloud.sts().get_caller_identity()
    yield ok(f"account {caller['Account']} in {place.cloud.session.region_name}, as {caller['Arn']}")


def inbox_name(place: Place) -> Iterator[Answer]:
    """whether the inbox of an earlier stack, or of somebody else, has the name of the new one"""
    account = place.cloud.sts().get_caller_identity()["Account"]
    bucket = f"{place.name}-inbox-{account}-{place.cloud.session.region_name}"
    try:
        place.cloud.s3().head_bucket(Bucket=bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "404":
            yield ok(f"{bucket} is free")
        elif code == "403":
            yield failed(
                f"{bucket} exists, and you may not look into it",
                "another account has it: choose another name of the stack; or it is yours, and you lack s3:ListBucket",
            )
        else:
            raise
    else:
        yield failed(
            f"{bucket} exists",
            "an earlier stack left it: move its files elsewhere and delete it, or choose another name",
        )


def lambda_concurrency(place: Place) -> Iterator[Answer]:
    """Lambda's limit of concurrent executions, less what is reserved, against what the stack may run at once"""
    limit = place.cloud.functions().get_account_settings()["AccountLimit"]
    free, needed = limit["UnreservedConcurrentExecutions"], place.checkers + ALERTERS + OTHERS
    found = f"{free} of {limit['ConcurrentExecutions']} executions are not reserved, and the stack may run {needed}"
    remedy = "request more (docs/deploy.md, Prerequisites), or lower MaximumConcurrency or BackfillConcurrency"
    yield ok(found) if free >= needed else warning(found, remedy)


def endpoint_instances(place: Place) -> Iterator[Answer]:
    """SageMaker's quota for instances of the endpoint's type, against the most that autoscaling starts"""
    for kind, most in _instances(place).items():
        yield _quota(place, kind, most)


def _quota(place: Place, kind: str, most: int) -> Answer:
    name = f"{kind} for endpoint usage"
    pages = place.cloud.quotas().get_paginator("list_service_quotas").paginate(ServiceCode="sagemaker")
    quota = next((quota["Value"] for page in pages for quota in page["Quotas"] if quota["QuotaName"] == name), None)
    remedy = f"request an increase under Service Quotas > Amazon SageMaker > {name}"
    if quota is None:
        return warning(
            f"Service Quotas has no applied quota {name!r}",
            "its default holds, which the console of Service Quotas shows; or the region does not offer the type",
        )
    if quota < 1:
        return failed(f"the quota is {quota:.0f}, so no endpoint of {kind} can start", remedy)
    found = f"the quota is {quota:.0f} {kind}, and the endpoint may scale to {most}"
    return warning(found, remedy) if quota < most else ok(found)


def _instances(place: Place) -> dict[str, int]:
    """The greatest number of instances of the endpoint by their type; the defaults if there is no endpoint. Variants
    without instances, which are serverless, are left out."""
    sagemaker = place.cloud.sagemaker()
    try:
        endpoint = sagemaker.describe_endpoint(EndpointName=place.endpoint)
    except ClientError as error:
        if NO_SUCH_ENDPOINT not in str(error):
            raise
        return {INSTANCE_TYPE: INSTANCES}
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    most: Counter[str] = Counter()
    for variant in config["ProductionVariants"]:
        if kind := variant.get("InstanceType"):
            resource = f"endpoint/{place.endpoint}/variant/{variant['VariantName']}"
            targets = place.cloud.autoscaling().describe_scalable_targets(
                ServiceNamespace="sagemaker", ResourceIds=[resource]
            )["ScalableTargets"]
            most[kind] += max((one["MaxCapacity"] for one in targets), default=variant["InitialInstanceCount"])
    return most
