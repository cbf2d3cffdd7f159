"""Runs the checks. One that fails, or that may not look, keeps no other back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from inventory.refusals import DENIED, EXPIRED, UNKNOWN_CREDENTIALS
from local.errors import CommandFailed
from local.stack.doctor import account, alarms, endpoint, functions, inbox
from local.stack.doctor.values import Answer, Place, State, failed

OTHER_NAMES = {"GetBucketNotificationConfiguration": "GetBucketNotification", "HeadBucket": "ListBucket"}
"""Permissions that are not called as the operation that needs them."""


@dataclass(frozen=True)
class Check:
    """A check: its name, the function that looks, and the permissions that it needs. `before` says that it makes sense
    before a deployment, `after` that it does afterwards, and `in_aws` that the embedded cloud has nothing to look at.
    """

    name: str
    look: Callable[[Place], Iterator[Answer]]
    permissions: Sequence[str] = ()
    before: bool = False
    after: bool = True
    in_aws: bool = False

    @property
    def looks_at(self) -> str:
        """What it looks at, in a few words."""
        return (self.look.__doc__ or "").strip()


@dataclass(frozen=True)
class Finding:
    """The answer of the check with this name. `remedy` is empty if all is well."""

    check: str
    state: State
    found: str
    remedy: str


CHECKS = (
    Check("credentials", account.credentials, before=True),
    Check("inbox name", account.inbox_name, ["s3:ListBucket"], before=True, after=False, in_aws=True),
    Check("Lambda quota", account.lambda_concurrency, ["lambda:GetAccountSettings"], before=True, in_aws=True),
    Check(
        "SageMaker quota",
        account.endpoint_instances,
        [
            "servicequotas:ListServiceQuotas",
            "sagemaker:DescribeEndpoint",
            "sagemaker:DescribeEndpointConfig",
            "application-autoscaling:DescribeScalableTargets",
        ],
        before=True,
        in_aws=True,
    ),
    Check("endpoint", endpoint.endpoint_status, ["sagemaker:DescribeEndpoint"], before=True, in_aws=True),
    Check("model", endpoint.model_contract, ["sagemaker:InvokeEndpoint"], before=True),
    Check("versions", inbox.versioning, ["s3:GetBucketVersioning"]),
    Check("events", inbox.notifications, ["s3:GetBucketNotification", "sns:ListSubscriptionsByTopic"]),
    Check("triggers", functions.triggers, ["lambda:ListEventSourceMappings"]),
    Check("functions", functions.functions, ["lambda:GetFunctionConfiguration"]),
    Check("errors", functions.last_errors, ["logs:FilterLogEvents"]),
    Check(
        "messages",
        inbox.waiting_messages,
        ["cloudwatch:GetMetricStatistics", "sqs:GetQueueUrl", "sqs:GetQueueAttributes"],
    ),
    Check("dead letters", inbox.dead_letters, ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]),
    Check("subscriptions", alarms.subscriptions, ["sns:ListSubscriptionsByTopic"]),
    Check("alarms", alarms.alarms, ["cloudformation:ListStackResources", "cloudwatch:DescribeAlarms"]),
)


def examine(place: Place, checks: Sequence[Check] = CHECKS) -> Iterator[Finding]:
    """Make the checks that apply to a place, in order, and yield what each finds as soon as it is known."""
    for check in checks:
        if (check.after if place.deployed else check.before) and not (check.in_aws and place.cloud.endpoint_url):
            for answer in _answers(check, place):
                yield Finding(check.name, answer.state, answer.found, answer.remedy)


def _answers(check: Check, place: Place) -> Iterator[Answer]:
    try:
        yield from check.look(place)
    except ClientError as error:
        yield _refused(check, error)
    except (NoCredentialsError, NoRegionError) as error:
        yield failed(f"could not look: {error}", "set AWS_PROFILE and AWS_DEFAULT_REGION, or run `aws configure`")
    except (BotoCoreError, CommandFailed, OSError) as error:
        yield failed(f"could not look: {error}", "is the network as it should be, and the stack of this version?")
    except KeyError as error:
        yield failed(f"the stack has no output {error}", "deploy the template.yaml of this version")


def _refused(check: Check, error: ClientError) -> Answer:
    code = error.response["Error"]["Code"]
    if code in EXPIRED | UNKNOWN_CREDENTIALS:
        return failed(
            f"could not look: {error}", "sign in again, or check AWS_PROFILE and the keys in your environment"
        )
    if code not in DENIED:
        return failed(f"could not look: {error}", "the message of AWS says why")
    operation = OTHER_NAMES.get(error.operation_name, error.operation_name)
    needed = [permission for permission in check.permissions if permission.endswith(f":{operation}")]
    permissions = ", ".join(needed or check.permissions)
    return failed(
        f"you may not look: {error.operation_name} was denied",
        f"ask for {permissions}: ApplicationPolicyArn of this version's deploy/permissions.yaml has it",
    )
