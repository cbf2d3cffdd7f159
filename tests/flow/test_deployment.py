"""The two commands that rehearse a deployment, on a stack that is sound and on one that is not."""

import json
import signal
from datetime import UTC, datetime

from local.stack.doctor.examination import CHECKS, examine
from local.stack.doctor.values import Place
from local.stack.smoke import SITE
from tests.flow.acting import without
from tests.flow.warehouse import wait_until


def remains(stack):
    """What is left of the bins of smoke: uploads, items, queues."""
    uploads = stack.cloud.s3().list_objects_v2(Bucket=stack.inbox_bucket, Prefix=SITE).get("Contents", [])
    items = [item for item in stack.table.scan()["Items"] if item["bin"].startswith(SITE)]
    queues = stack.cloud.sqs().list_queues(QueueNamePrefix=f"{stack.name}-watch").get("QueueUrls", [])
    return len(uploads), len(items), len(queues)


def test_a_sound_stack_is_well(stack):
    cloud, sns = stack.cloud, stack.cloud.sns()
    for topic in (stack.mismatch_topic_arn, stack.outputs["OperationsTopicArn"]):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:somebody")
    s3 = cloud.s3()
    with_events = {"EventBridgeConfiguration": {}}
    s3.create_bucket(Bucket="acme-robots")
    s3.put_bucket_notification_configuration(Bucket="acme-robots", NotificationConfiguration=with_events)
    for alarm in cloud.cloudwatch().describe_alarms()["MetricAlarms"]:  # the embedded cloud evaluates none
        cloud.cloudwatch().set_alarm_state(AlarmName=alarm["AlarmName"], StateValue="OK", StateReason="a test")
    findings = list(examine(Place.of(stack, datetime.now(UTC))))
    troubles = [finding for finding in findings if finding.state != "ok" and finding.check != "errors"]
    assert troubles == []  # other tests break functions, and their logs say so
    here = [check.name for check in CHECKS if check.after and not check.in_aws]
    assert list(dict.fromkeys(finding.check for finding in findings)) == here


def test_smoke_goes_through_and_leaves_nothing(bincheck, stack):
    said, complaints = bincheck("smoke", "--json").communicate(timeout=120)
    result = json.loads(said)
    assert (result["ok"], result["failure"]) == (True, None), complaints
    assert list(result["took_s"]) == ["subscribe", "upload", "check", "alert", "remove"]
    assert remains(stack) == (0, 0, 0)


def test_smoke_without_alerts_says_where_to_look_and_leaves_nothing(bincheck, stack):
    with without(stack, "Alerter", "Alert"):
        process = bincheck("smoke", "--timeout", "8")
        said, complaints = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "alert: none after 8 s" in complaints
    assert "✓ remove" in said
    assert remains(stack) == (0, 0, 0)


def test_smoke_that_is_interrupted_leaves_nothing(bincheck, stack):
    with without(stack, "Alerter", "Alert"):
        process = bincheck("smoke", "--timeout", "60")
        wait_until(lambda: remains(stack)[1] > 0, "the bin is in the table")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode != 0
    assert remains(stack) == (0, 0, 0)
