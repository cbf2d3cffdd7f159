"""The alarms of an endpoint; an update is rolled back when one of them goes off."""

from training.jobs.aws.account import TAGS, Account
from training.jobs.settings import Deploy

MILLISECOND_US = 1000
FAILED_SHARE = 0.01
"""Share of a minute's calls that fail with 5xx; an image that cannot be counted is a 4xx."""


def names(settings: Deploy) -> list[str]:
    """The names of the endpoint's alarms."""
    return [f"{settings.endpoint}-errors", f"{settings.endpoint}-latency"]


def put(account: Account, settings: Deploy, variant: str) -> None:
    """Create or update the alarms."""
    errors, latency = names(settings)
    kinds = {
        errors: {
            "MetricName": "Invocation5XXErrors",
            "Statistic": "Average",
            "Threshold": FAILED_SHARE,
            "EvaluationPeriods": 1,
            "AlarmDescription": f"More than {FAILED_SHARE:.0%} of a minute's calls failed: see the endpoint's log.",
        },
        latency: {
            "MetricName": "ModelLatency",
            "ExtendedStatistic": "p90",
            "Threshold": float(settings.latency_ms * MILLISECOND_US),
            "EvaluationPeriods": 3,
            "AlarmDescription": f"One answer in ten took more than {settings.latency_ms} ms, for 3 minutes.",
        },
    }
    cloudwatch = account.client("cloudwatch")
    for name, kind in kinds.items():
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            Dimensions=[
                {"Name": "EndpointName", "Value": settings.endpoint},
                {"Name": "VariantName", "Value": variant},
            ],
            Period=60,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            Tags=TAGS,
            **(
                {"AlarmActions": [settings.alarm_topic], "OKActions": [settings.alarm_topic]}
                if settings.alarm_topic
                else {}
            ),
            **kind,
        )
