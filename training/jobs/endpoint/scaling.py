"""Scales an endpoint's instances with its calls, between two bounds."""

from typing import Any

from training.jobs.aws.account import Account
from training.jobs.settings import Deploy

SCALE_OUT_COOLDOWN_S, SCALE_IN_COOLDOWN_S = 60, 600
"""Pauses after adding and after removing instances."""


def scale(account: Account, settings: Deploy, variant: str) -> None:
    """Scale by the calls per instance and minute; stop scaling when both bounds are equal."""
    if settings.max_instances == settings.instances:
        stop(account, settings, variant)
        return
    scaling, target = account.client("application-autoscaling"), _target(settings, variant)
    scaling.register_scalable_target(**target, MinCapacity=settings.instances, MaxCapacity=settings.max_instances)
    scaling.put_scaling_policy(
        **target,
        PolicyName=f"{settings.endpoint}-calls",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": float(settings.calls_per_minute),
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "ScaleOutCooldown": SCALE_OUT_COOLDOWN_S,
            "ScaleInCooldown": SCALE_IN_COOLDOWN_S,
        },
    )


def stop(account: Account, settings: Deploy, variant: str) -> bool:
    """Stop scaling and keep the number of instances; returns whether it was scaled before."""
    scaling, target = account.client("application-autoscaling"), _target(settings, variant)
    found = scaling.describe_scalable_targets(
        ServiceNamespace=target["ServiceNamespace"],
        ResourceIds=[target["ResourceId"]],
        ScalableDimension=target["ScalableDimension"],
    )["ScalableTargets"]
    if found:
        scaling.deregister_scalable_target(**target)
    return bool(found)


def _target(settings: Deploy, variant: str) -> dict[str, Any]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{settings.endpoint}/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
