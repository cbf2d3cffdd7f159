"""Subscribers say what they want, uploads whose partner never came are told of once, and no alert is lost."""

import json
from contextlib import contextmanager

from local.cli.watch import filter_policy
from local.demo import receive_alerts
from local.stack.subscription import subscribed
from tests.flow.acting import without
from tests.flow.test_commands import output
from tests.flow.warehouse import wait_until


def test_a_filter_policy_lets_through_what_was_asked_for_only(warehouse):
    wanted = filter_policy(severity=["high"], direction=["missing"], site=[warehouse.site])
    with subscribed(warehouse.stack, wanted) as picky:
        for id, count, expected in (("short", 1, 2), ("over", 3, 2), ("right", 3, 3)):
            warehouse.photograph(id, warehouse.image_of(count))
            warehouse.report(id, expected)
        warehouse.settle()
        told = receive_alerts(picky, 1)
    assert [(alert["bin"], alert["difference"], alert["severity"]) for alert in told] == [
        (f"{warehouse.site}/short", -1, "high")
    ]
    assert warehouse.alerts(2) == [("over", "mismatch"), ("short", "mismatch")]


def test_an_unsubscribed_listener_leaves_nothing_behind(stack):
    with subscribed(stack) as subscription:
        pass
    queues = stack.cloud.sqs().list_queues(QueueNamePrefix=f"{stack.name}-watch").get("QueueUrls", [])
    assert subscription.queue_url not in queues
    topics = stack.cloud.sns().list_subscriptions_by_topic(TopicArn=stack.mismatch_topic_arn)["Subscriptions"]
    assert not [entry for entry in topics if subscription.queue_url.rsplit("/", 1)[-1] in entry["Endpoint"]]


@contextmanager
def without_pairing_timeout(stack):
    """Let the Watchdog tell at once of uploads whose partner has not come."""
    functions = stack.cloud.functions()
    name = stack.outputs["WatchdogFunctionName"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**before, "WAIT_MINUTES": "0"}}
    )
    yield
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})


def wake_watchdog(stack):
    answer = stack.cloud.functions().invoke(FunctionName=stack.outputs["WatchdogFunctionName"], Payload=b"{}")
    assert "FunctionError" not in answer
    return json.load(answer["Payload"])


def test_an_upload_whose_partner_never_came_is_told_of_once(warehouse):
    wake_watchdog(warehouse.stack)
    warehouse.photograph("alone", warehouse.image_of(3))
    warehouse.report("listed", 3)
    warehouse.settle()
    assert warehouse.alerts(0) == []
    with without_pairing_timeout(warehouse.stack):
        wake_watchdog(warehouse.stack)
        wake_watchdog(warehouse.stack)
    assert warehouse.alerts(2) == [("alone", "unpaired"), ("listed", "unpaired")]
    warehouse.report("alone", 3)
    assert warehouse.check("alone").status == "match"


def test_the_watchdog_is_on_a_schedule(stack):
    events = stack.cloud.session.client("events", endpoint_url=stack.cloud.endpoint_url)
    rules = [rule for rule in events.list_rules()["Rules"] if "Watchdog" in rule["Name"]]
    assert [rule["State"] for rule in rules] == ["ENABLED"]


def test_an_alert_that_fails_five_times_is_a_dead_letter_and_goes_out_once_it_is_redriven(
    warehouse, bincheck, impatient_queues
):
    with without(warehouse.stack, "Alerter", "Alert"):
        warehouse.photograph("7", warehouse.image_of(3))
        warehouse.report("7", 4)
        wait_until(lambda: warehouse.dead_letters == 1, "the alert is in the dead letters", patience_s=120)
        letter = json.loads(output(bincheck("dead-letters", "--json")))
        assert (letter["bins"], letter["keys"], letter["attempts"]) == ([f"{warehouse.site}/7"], [], 5)
        assert "sns:Publish" in letter["reason"]
        assert warehouse.alerts(0) == []
    assert warehouse.check("7").status == "mismatch"
    assert "1 dead letters moved back" in output(bincheck("dead-letters", "--redrive"))
    assert warehouse.alerts(1) == [("7", "mismatch")]
    assert warehouse.dead_letters == 0
