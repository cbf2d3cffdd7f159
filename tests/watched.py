"""The metrics that the alarms and the dashboard of template.yaml look at."""

import json
import re
from typing import Any, NamedTuple

from tests.template import resource, template

OURS = "bincheck"
"""Stands for the namespace of our own metrics, which is the stack's name."""


class Metric(NamedTuple):
    """A metric, and the value of its `service` where it is one of ours."""

    namespace: str
    name: str
    service: str | None = None


def alarms() -> dict[str, dict[str, Any]]:
    """The properties of all alarms, by name."""
    found = template()["Resources"].items()
    return {name: body["Properties"] for name, body in found if body["Type"] == "AWS::CloudWatch::Alarm"}


def watched_by(alarm: dict[str, Any]) -> set[Metric]:
    """What an alarm reckons with."""
    measured = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    return {
        Metric(
            OURS if each["Namespace"] == {"Ref": "AWS::StackName"} else each["Namespace"],
            each["MetricName"],
            {d["Name"]: d["Value"] for d in each["Dimensions"]}.get("service"),
        )
        for each in measured
    }


def widgets() -> list[dict[str, Any]]:
    """The graphs of the dashboard with the review page, with other `${…}` left as they stand."""
    return [widget["properties"] for widget in json.loads(dashboard(reviewed=True))["widgets"]]


def dashboard(*, reviewed: bool) -> str:
    """The body of the dashboard, with or without the graphs of the review page."""
    body, more = resource("Dashboard")["DashboardBody"]["Sub"]
    condition, graphs, none = more["ReviewWidgets"]["If"]
    assert condition == "HasReviewPage"
    text: str = body.replace("${ReviewWidgets}", graphs["Sub"] if reviewed else none)
    return text


def drawn_by(widget: dict[str, Any]) -> set[Metric]:
    """What a graph shows."""
    drawn = set()
    for namespace, name, *rest in widget["metrics"]:
        named = [part for part in rest if isinstance(part, str)]
        namespace = OURS if namespace == "${AWS::StackName}" else namespace
        drawn.add(Metric(namespace, name, dict(zip(named[::2], named[1::2], strict=True)).get("service")))
    return drawn


def substituted() -> set[str]:
    """What the dashboard has CloudFormation fill in."""
    return set(re.findall(r"\$\{([^}]+)\}", dashboard(reviewed=True)))


def watched() -> set[Metric]:
    """All that somebody relies on."""
    return set().union(*map(watched_by, alarms().values()), *map(drawn_by, widgets()))
