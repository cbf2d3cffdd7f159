"""Alarms and dashboard: what they watch exists, they tell somebody, and the operations page says what to do."""

import json
import re

import pytest

from tests.template import ROOT, template
from tests.watched import OURS, Metric, alarms, dashboard, drawn_by, substituted, watched, watched_by, widgets

FROM_AWS = {
    "AWS/Lambda": {"ConcurrentExecutions", "Duration", "Errors", "Invocations", "IteratorAge", "Throttles"},
    "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent"},
    "AWS/SageMaker": {"Invocation4XXErrors", "Invocation5XXErrors", "Invocations", "ModelLatency"},
    "AWS/Events": {"FailedInvocations"},
    "AWS/ApiGateway": {"4xx", "5xx", "Count", "Latency"},
}
"""Metrics as each service's own page in the AWS documentation names them."""


@pytest.mark.parametrize("name", alarms())
def test_every_alarm_tells_somebody_when_it_goes_off_and_when_it_is_over_and_says_what_to_do(name):
    alarm = alarms()[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "OperationsTopic"}]
    assert alarm["TreatMissingData"] == ("breaching" if name == "NoUploadsAlarm" else "notBreaching")
    description = alarm["AlarmDescription"]
    told, *to_do = re.split(r"(?<=[.?]) ", description if isinstance(description, str) else description["Sub"])
    assert told
    assert to_do, f"{name} does not say what to do"


def test_what_can_go_wrong_is_watched():
    assert set().union(*map(watched_by, alarms().values())) >= {
        Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
        Metric("AWS/SQS", "ApproximateAgeOfOldestMessage"),
        Metric("AWS/SQS", "NumberOfMessagesSent"),
        Metric("AWS/Lambda", "Errors"),
        Metric("AWS/Lambda", "IteratorAge"),
        Metric("AWS/Lambda", "Throttles"),
        Metric("AWS/ApiGateway", "5xx"),
        Metric("AWS/SageMaker", "Invocation4XXErrors"),
        Metric("AWS/SageMaker", "Invocation5XXErrors"),
        Metric("AWS/SageMaker", "ModelLatency"),
        Metric(OURS, "EndpointErrors", "checker"),
        Metric(OURS, "Mismatches", "checker"),
        Metric(OURS, "Unpaired", "watchdog"),
        Metric(OURS, "Rejected", "checker"),
        Metric(OURS, "DriftedSites", "reporter"),
        Metric(OURS, "DisagreeingSites", "reporter"),
    }


def test_the_operations_page_has_a_row_for_every_alarm_and_for_no_other():
    rows = re.findall(r"^\| (\w+Alarm) \|", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(alarms())


def test_metrics_of_aws_are_called_as_aws_calls_them():
    for metric in watched():
        if metric.namespace != OURS:
            assert metric.name in FROM_AWS[metric.namespace]


def test_an_alarm_reckons_with_the_metrics_that_it_names():
    for name, alarm in alarms().items():
        ids = {each["Id"] for each in alarm.get("Metrics", [])}
        for each in alarm.get("Metrics", []):
            assert set(re.findall(r"\b[a-z]\w*", each.get("Expression", ""))) <= ids, name
        assert ("ThresholdMetricId" in alarm) != ("Threshold" in alarm), name


def test_nobody_is_told_of_a_quiet_inbox_unless_asked_to():
    assert template()["Parameters"]["QuietHours"]["Default"] == 0
    assert template()["Conditions"]["MayNotBeQuiet"] == {"Not": [{"Equals": [{"Ref": "QuietHours"}, 0]}]}
    assert template()["Resources"]["NoUploadsAlarm"]["Condition"] == "MayNotBeQuiet"


def test_the_dashboard_shows_what_checks_tell_and_how_they_are_made():
    drawn = set().union(*map(drawn_by, widgets()))
    business = {Metric(OURS, name, "checker") for name in ("Checks", "Mismatches", "Suspicion", "Waiting")}
    assert business | {Metric(OURS, "Unpaired", "watchdog")} <= drawn
    technical = {Metric(namespace, name) for namespace, names in FROM_AWS.items() for name in names}
    assert {metric.namespace for metric in drawn & technical} == {
        "AWS/Lambda", "AWS/SQS", "AWS/SageMaker", "AWS/ApiGateway",
    }  # fmt: skip
    for widget in widgets():
        assert widget.keys() >= {"title", "region", "period", "stat"}


def test_without_the_review_page_nothing_of_it_is_watched():
    text = dashboard(reviewed=False)
    assert len(json.loads(text)["widgets"]) == len(widgets()) - 2
    assert "Review" not in text
    conditional = {
        name for name, alarm in alarms().items() if re.search("'Ref': 'Review", str(alarm.get("Dimensions")))
    }
    assert len(conditional) == 3
    assert {template()["Resources"][name].get("Condition") for name in conditional} == {"HasReviewPage"}


def test_the_dashboard_fills_in_what_the_template_has():
    names = {part.split(".")[0] for part in substituted() if not part.startswith("AWS::")}
    assert names <= template()["Resources"].keys() | template()["Parameters"].keys()
