"""Who hears of alerts and alarms, and what the alarms say now."""

from collections.abc import Iterator

from local.stack.doctor.values import Answer, Place, failed, ok, warning

SUBSCRIBE = "set AlertEmail, or subscribe (docs/deploy.md, Subscribe)"
TOPICS = {
    "MismatchTopicArn": ("alerts", SUBSCRIBE),
    "OperationsTopicArn": ("alarms", SUBSCRIBE),
    "DigestTopicArn": ("digests", SUBSCRIBE),
    "ChatTopicArn": ("chat", "connect a channel of Slack or Teams to it (docs/alerts.md), or deploy ChatAlerts=no"),
}
"""The topics of a stack by their outputs: what they tell, and what to do if nobody is subscribed. The last two are
optional."""
ALARMS_A_CALL = 100


def subscriptions(place: Place) -> Iterator[Answer]:
    """whether somebody receives alerts, alarms, digests and chats, and which subscriptions wait for confirmation"""
    sns = place.cloud.sns()
    for output, (what, subscribe) in TOPICS.items():
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
            yield warning(f"{what}: nobody is subscribed", subscribe)
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
