"""Alarms and dashboard: what they watch exists, they tell somebody, and the operations page says what to do."""

import json
import re

import pytest

from tests.template import ROOT, template
from tests.watched import OURS, Metric, alarms, dashboard, drawn_by, substituted, watched, watched_by, widgets

FROM_AWS = {
    "AWS/Lambda": {"ConcurrentExecutions", "Duration", "Errors", "Invocations", "IteratorAge", "Throttles"},
    "AWS/SQS": {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfMessagesReceived",
        "NumberOfMessagesSent",
    },
    "AWS/SageMaker": {"Invocation4XXErrors", "Invocation5XXErrors", "Invocations", "ModelLatency"},
    "AWS/Events": {"FailedInvocations"},
    "AWS/ApiGateway": {"4xx", "5xx", "Count", "Latency"},
}  # fmt: skip
"""Metrics as each service's own page in the AWS documentation names them."""


@pytest.mark.parametrize("name", alarms())
def test_every_alarm_tells_somebody_when_it_goes_off_and_when_it_is_over_and_says_what_to_do(name):
    alarm = alarms()[name]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "OperationsTopic"}]
    silent = alarm["ComparisonOperator"] == "LessThanThreshold"
    assert alarm["TreatMissingData"] == ("breaching" if silent else "notBreaching")
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


def span_s(alarm):
    """How long what an alarm watches lasts before it goes off; None where a parameter says so."""
    periods = [each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    ages = {metric.name for metric in watched_by(alarm)} & {"ApproximateAgeOfOldestMessage", "IteratorAge"}
    if not isinstance(alarm["EvaluationPeriods"], int):
        return None
    return max(periods or [alarm["Period"]]) * alarm["EvaluationPeriods"] + (alarm["Threshold"] if ages else 0)


def looks_at(alarm, part, metrics=None):
    """Whether an alarm looks at a function or queue: at metrics that AWS keeps of it."""
    measured = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
    names = {"Ref": part}, {"GetAtt": f"{part}.QueueName"}
    of_part = [metric for metric in measured if any(each["Value"] in names for each in metric["Dimensions"])]
    return any(metrics is None or metric["MetricName"] in metrics for metric in of_part)


def parts(*kinds):
    return {name: body["Properties"] for name, body in template()["Resources"].items() if body["Type"] in kinds}


def queues_of(part):
    """The queues that invoke a function."""
    events = template()["Resources"][part]["Properties"].get("Events", {}).values()
    return [event["Properties"]["Queue"]["GetAtt"].removesuffix(".Arn") for event in events if event["Type"] == "SQS"]


FUNCTIONS = parts("AWS::Serverless::Function")
ROWS = re.findall(
    r"^\| (\w+) \| [^|]+ \| (\w+Alarm) \| (?:(\d+) (min|h)|`QuietHours`) \|$",
    (ROOT / "docs" / "operations.md").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("part", "alarm", "number", "unit"), ROWS)
def test_an_alarm_says_within_the_stated_time_that_a_part_failed(part, alarm, number, unit):
    said = alarms()[alarm]
    published = {metric.service for metric in watched_by(said)}
    assert part.lower() in published or any(looks_at(said, each) for each in (part, *queues_of(part)))
    assert span_s(alarms()[alarm]) == (int(number) * {"min": 60, "h": 3600}[unit] if number else None)


@pytest.mark.parametrize("part", parts("AWS::Serverless::Function", "AWS::SQS::Queue"))
def test_the_operations_page_says_how_each_function_and_queue_fails(part):
    told = {alarm for name, alarm, *_ in ROWS if name == part}
    assert told
    for name, alarm in alarms().items():
        if looks_at(alarm, part):
            assert name in told, f"{name} is not in the table"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_that_fails_or_is_not_run_is_noticed(function):
    def rung(part, *metrics):
        return [alarm for alarm in alarms().values() if looks_at(alarm, part, set(metrics))]

    assert rung(function, "Errors")
    for queue in queues_of(function):
        assert rung(queue, "ApproximateAgeOfOldestMessage", "NumberOfMessagesReceived")
    events = FUNCTIONS[function].get("Events", {}).values()
    for event in events:
        if event["Type"] == "DynamoDB":
            assert rung(function, "IteratorAge")
            assert rung(function, "Invocations")
        elif event["Type"] == "Schedule":
            every_s = EVERY_S[event["Properties"]["Schedule"]]
            (silence,) = rung(function, "Invocations")
            assert (silence["Threshold"], silence["ComparisonOperator"]) == (1, "LessThanThreshold")
            assert every_s + silence["Period"] < span_s(silence) <= 3 * every_s
    if not any(event["Type"] == "Schedule" for event in events):
        assert rung(function, "Throttles")


EVERY_S = {"rate(5 minutes)": 300, "cron(30 0 * * ? *)": 86400}
"""Seconds between two runs of a schedule."""


@pytest.mark.parametrize("name", alarms())
def test_no_alarm_looks_further_back_than_cloudwatch_does(name):
    alarm = alarms()[name]
    if (span := span_s(alarm)) is not None:
        short = alarm.get("Period", 3600) < 3600
        assert span <= (86_400 if short else 604_800)


@pytest.mark.parametrize("name", alarms())
def test_an_alarm_looks_back_no_further_than_cloudwatch_does(name):
    """Seven days; one day where a period is shorter than an hour."""
    alarm = alarms()[name]
    count = alarm["EvaluationPeriods"]
    count = template()["Parameters"][count["Ref"]]["MaxValue"] if isinstance(count, dict) else count
    periods_s = [each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    period_s = max(periods_s or [alarm.get("Period")])
    assert count * period_s <= (604_800 if period_s >= 3_600 else 86_400)
