"""Who hears of alerts and alarms, and what the alarms say now."""

from collections.abc import Iterator

from local.stack.doctor.values import Answer, Place, failed, ok, warning

TOPICS = {"MismatchTopicArn": "alerts", "OperationsTopicArn": "alarms", "DigestTopicArn": "digests"}
"""The topics that people subscribe to, by the output of the stack. `DigestTopicArn` is optional."""
ALARMS_A_CALL = 100


def subscriptions(place: Place) -> Iterator[Answer]:
    """whether somebody receives alerts, alarms and digests, and which subscriptions wait for confirmation"""
    sns = place.cloud.sns()
    for output, what in TOPICS.items():
        if not (topic := place.stack.outputs.get(output)):
            continue
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        found = [one for page in pages for one in page["Subscriptions"]]
        waiting = [one["Endpoint"] for one in found if not one["SubscriptionArn"].startswith("arn:")]
        if waiting:
            yield warning(
                f"{what}: {', '.join(waiting)} has not confirmed the subscription",
                "open the email of AWS and confirm; an address that never got one needs a new deployment with it",
            )
        elif not found:
            yield warning(f"{what}: nobody is subscribed", "set AlertEmail, or subscribe (docs/deploy.md, Subscribe)")
        else:
            yield ok(f"{what}: {len(found)} confirmed subscriptions")


def alarms(place: Place) -> Iterator[Answer]:
    """which alarms of the stack ring, and which have no data"""
    pages = place.cloud.cloudformation().get_paginator("list_stack_resources").paginate(StackName=place.name)
    resources = [one for page in pages for one in page["StackResourceSummaries"]]
    logical = {
        one["PhysicalResourceId"]: one["LogicalResourceId"]
        for one in resources
        if one["ResourceType"] == "AWS::CloudWatch::Alarm" and "PhysicalResourceId" in one
    }
    silent: list[str] = []
    ringing = 0
    names = list(logical)
    for first in range(0, len(names), ALARMS_A_CALL):
        some = names[first : first + ALARMS_A_CALL]
        for alarm in place.cloud.cloudwatch().describe_alarms(AlarmNames=some)["MetricAlarms"]:
            name = logical.get(alarm["AlarmName"], alarm["AlarmName"])
            if alarm["StateValue"] == "ALARM":
                ringing += 1
                yield failed(f"{name}: {alarm.get('StateReason', '')}", f"docs/operations.md, Alarms: {name}")
            elif alarm["StateValue"] == "INSUFFICIENT_DATA":
                silent.append(name)
    if silent:
        yield warning(
            f"without data: {', '.join(sorted(silent))}",
            "usual in the first minutes of a stack; later, does what it measures still run?",
        )
    if not silent and not ringing:
        yield ok(f"all {len(logical)} are OK")
