"""What must stay true of template.yaml, whatever else changes in it."""

import json
import re

import pytest
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
from botocore.config import Config

from inventory.alerts import HOURLY
from inventory.check import Check
from inventory.check_items import ALERT, FAILURES, TALLIES
from inventory.check_store import BY_DAY
from inventory.failures import FAILURE_RETENTION
from inventory.hourly_emails import ITEM
from inventory.legacy_items import LEGACY_TALLIES
from inventory.uploads import OtherEvent, Upload, read_notification
from inventory.verdict import SEVERITIES
from local.stack.backfill import RESUME_WINDOW
from tests.builders import eventbridge_event
from tests.template import ACCOUNT, ROOT, render, resource, template

FUNCTIONS = ["Checker", "Counter", "Alerter", "Watchdog", "Reporter", "Review"]
QUEUES = ["InboxQueue", "BackfillQueue", "AlertsQueue", "InboxDeadLetters"]
GLOBALS = template()["Globals"]["Function"]
EVERYTHING = {
    "ReviewPage": "yes",
    "AlertEmail": "ops@example.com",
    "DailyDigest": "yes",
    "ChatAlerts": "yes",
    "QuietHours": "8",
    "PipelineName": "bincheck-retraining",
    "PipelineSchedule": "rate(7 days)",
    "UploadsBucket": "acme-robots",
}
"""Parameters under which a stack has all its resources."""


def of_type(kind):
    return {name: body["Properties"] for name, body in template()["Resources"].items() if body["Type"] == kind}


def statements(policy_document):
    return policy_document["Statement"]


def listed(value):
    return value if isinstance(value, list) else [value]


def function_statements(name):
    """What the role of a function allows, which is written out in full."""
    assert resource(name)["Role"] == {"GetAtt": f"{name}Role.Arn"}
    role = resource(f"{name}Role")
    assert "ManagedPolicyArns" not in role
    return [s for policy in role["Policies"] if "If" not in policy for s in policy["PolicyDocument"]["Statement"]]


def test_the_inbox_is_private_encrypted_and_takes_tls_only():
    bucket = resource("InboxBucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (statement,) = statements(resource("InboxBucketPolicy")["PolicyDocument"])
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert len(statement["Resource"]) == 2
    assert "Condition" not in template()["Resources"]["InboxBucketPolicy"]


def test_only_the_inbox_bucket_of_this_account_may_write_to_the_queue():
    rules = statements(resource("InboxQueuePolicy")["PolicyDocument"])
    (allowed,) = [rule for rule in rules if rule.get("Effect") == "Allow"]
    assert allowed["Principal"] == {"Service": "s3.amazonaws.com"}
    assert allowed["Action"] == "sqs:SendMessage"
    bucket_arn = "arn:${AWS::Partition}:s3:::" + resource("InboxBucket")["BucketName"]["Sub"]
    assert allowed["Condition"]["ArnEquals"]["aws:SourceArn"] == {"Sub": bucket_arn}
    assert "aws:SourceAccount" in allowed["Condition"]["StringEquals"]


NO_TLS = {"Bool": {"aws:SecureTransport": "false"}}
OTHER_ACCOUNT = {
    "StringNotEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}},
    "Bool": {"aws:PrincipalIsAWSService": "false"},
}


@pytest.mark.parametrize(
    ("policy", "covered", "arns", "allowed"),
    [
        (
            "InboxQueuePolicy",
            {"Queues": [{"Ref": queue} for queue in QUEUES]},
            [{"GetAtt": f"{queue}.Arn"} for queue in QUEUES],
            [{"Service": "s3.amazonaws.com"}],
        ),
        ("MismatchTopicPolicy", {"Topics": [{"Ref": "MismatchTopic"}]}, [{"Ref": "MismatchTopic"}], []),
        ("ChatTopicPolicy", {"Topics": [{"Ref": "ChatTopic"}]}, [{"Ref": "ChatTopic"}], []),
        ("DigestTopicPolicy", {"Topics": [{"Ref": "DigestTopic"}]}, [{"Ref": "DigestTopic"}], []),
        (
            "OperationsTopicPolicy",
            {"Topics": [{"Ref": "OperationsTopic"}]},
            [{"Ref": "OperationsTopic"}],
            [{"Service": "cloudwatch.amazonaws.com"}],
        ),
    ],
)
def test_queues_and_topics_refuse_plain_text_and_other_accounts(policy, covered, arns, allowed):
    assert covered.items() <= resource(policy).items()
    rules = [rule for rule in statements(resource(policy)["PolicyDocument"]) if "If" not in rule]
    assert [rule["Principal"] for rule in rules if rule["Effect"] == "Allow"] == allowed
    for rule in rules:
        if rule["Effect"] == "Allow":
            assert rule["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    denied = {rule["Sid"]: rule for rule in rules if rule["Effect"] == "Deny"}
    assert {sid: rule["Condition"] for sid, rule in denied.items()} == {
        "TlsOnly": NO_TLS,
        "NoOtherAccount": OTHER_ACCOUNT,
    }
    for rule in denied.values():
        assert rule["Principal"] == "*"
        assert listed(rule["Resource"]) == arns


def test_every_queue_and_topic_and_bucket_has_a_policy():
    covered = {
        *(ref["Ref"] for policy in of_type("AWS::SQS::QueuePolicy").values() for ref in policy["Queues"]),
        *(ref["Ref"] for policy in of_type("AWS::SNS::TopicPolicy").values() for ref in policy["Topics"]),
        *(policy["Bucket"]["Ref"] for policy in of_type("AWS::S3::BucketPolicy").values()),
    }
    kinds = ("AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::S3::Bucket")
    assert covered == {name for kind in kinds for name in of_type(kind)}


def test_a_message_never_comes_back_while_it_is_worked_on_and_fails_five_times():
    queue = resource("InboxQueue")
    assert queue["VisibilityTimeout"] >= 6 * GLOBALS["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    assert resource("InboxDeadLetters")["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]


def timeout_s(function):
    return resource(function).get("Timeout", GLOBALS["Timeout"])


def constant(function, name):
    code = (ROOT / "functions" / f"{function.lower()}.py").read_text()
    (value,) = re.findall(rf"^{name} = ([\d_]+)$", code, re.MULTILINE)
    return int(value)


@pytest.mark.parametrize("name", ["Checker", "Alerter", "Watchdog"])
def test_a_function_that_has_just_started_has_the_time_that_it_asks_for(name):
    assert constant(name, "MIN_REMAINING_TIME_MS") < timeout_s(name) * 1000


def test_an_alert_whose_sender_died_is_free_again_when_the_queue_hands_it_out():
    assert constant("Alerter", "RETRY_DELAY_S") > timeout_s("Alerter")


def test_one_bad_message_does_not_send_back_its_batch_and_concurrency_is_bounded():
    source = resource("Checker")["Events"]["Inbox"]["Properties"]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}}


def test_a_backfill_has_a_queue_and_few_checkers_of_its_own_and_ends_in_the_same_dead_letters():
    source = resource("Checker")["Events"]["Backfill"]["Properties"]
    assert source["Queue"] == {"GetAtt": "BackfillQueue.Arn"}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "BackfillConcurrency"}}
    assert template()["Parameters"]["BackfillConcurrency"]["Default"] == 2
    queue, inbox = resource("BackfillQueue"), resource("InboxQueue")
    assert queue["RedrivePolicy"] == inbox["RedrivePolicy"]
    assert queue["VisibilityTimeout"] == inbox["VisibilityTimeout"]
    week_s = RESUME_WINDOW.total_seconds()
    assert queue["MessageRetentionPeriod"] == week_s < resource("InboxDeadLetters")["MessageRetentionPeriod"]


def test_the_defaults_fit_the_ten_functions_that_a_new_account_runs_at_once():
    functions = of_type("AWS::Serverless::Function").values()
    events = [event for function in functions for event in function.get("Events", {}).values()]
    limits = [event["Properties"]["ScalingConfig"]["MaximumConcurrency"] for event in events if event["Type"] == "SQS"]
    received = sum(
        template()["Parameters"][limit["Ref"]]["Default"] if isinstance(limit, dict) else limit for limit in limits
    )
    scheduled = sum(event["Type"] == "Schedule" for event in events)
    (stream,) = (event["Properties"] for event in events if event["Type"] == "DynamoDB")
    assert received + scheduled + stream["ParallelizationFactor"] < 10, "one for the Counter and the review page"


def test_an_alarm_says_that_functions_are_refused_before_uploads_become_dead_letters():
    queue, alarm = resource("InboxQueue"), resource("ThrottlesAlarm")
    periods_s = {each["MetricStat"]["Period"] for each in alarm["Metrics"] if "MetricStat" in each}
    dead_s = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"]
    assert max(periods_s) * alarm["EvaluationPeriods"] <= dead_s / 2


def test_alerts_that_could_not_be_sent_are_tried_again_one_by_one_and_end_in_the_same_dead_letters():
    source = resource("Alerter")["Events"]["Queue"]["Properties"]
    assert source["Queue"] == {"GetAtt": "AlertsQueue.Arn"}
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"] == {"MaximumConcurrency": 2}
    queue, inbox = resource("AlertsQueue"), resource("InboxQueue")
    assert queue["RedrivePolicy"] == inbox["RedrivePolicy"]
    assert queue["VisibilityTimeout"] >= 6 * timeout_s("Alerter")
    assert queue["MessageRetentionPeriod"] < resource("InboxDeadLetters")["MessageRetentionPeriod"]


def test_the_alerter_hears_of_every_alert_that_is_put_and_of_nothing_else():
    assert resource("ChecksTable")["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    source = resource("Alerter")["Events"]["Outbox"]["Properties"]
    assert source["Stream"] == {"GetAtt": "ChecksTable.StreamArn"}
    assert source["StartingPosition"] == "TRIM_HORIZON"
    (wanted,) = source["FilterCriteria"]["Filters"]
    assert json.loads(wanted["Pattern"]) == {
        "eventName": ["INSERT"],
        "dynamodb": {"Keys": {"check": {"S": [{"prefix": ALERT}]}}},
    }


def test_what_was_sent_is_remembered_encrypted_and_forgotten_by_itself():
    table = resource("SentAlertsTable")
    assert table["KeySchema"] == [{"AttributeName": once.key_attr, "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": once.expiry_attr, "Enabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["BillingMode"] == "PAY_PER_REQUEST"


once = DynamoDBPersistenceLayer("sent-alerts", boto_config=Config(region_name="us-east-1"))
"""Where Powertools keeps what was done, with the names that it gives to attributes."""


@pytest.mark.parametrize("function", ["Checker", "Watchdog", "Review"])
def test_one_other_bucket_is_read_only_where_it_is_named(function):
    assert template()["Parameters"]["BackfillBucket"]["Default"] == ""
    reading = [s for s in function_statements(function) if listed(s["Action"])[0].startswith("s3:")]
    assert reading
    for statement in reading:
        inbox, (condition, other, nothing) = statement["Resource"][0], statement["Resource"][1]["If"]
        assert "InboxBucket" in str(inbox)
        assert condition == "HasBackfillBucket"
        assert ":s3:::${BackfillBucket}" in other["Sub"]
        assert nothing == {"Ref": "AWS::NoValue"}


UPLOADS = {"UploadsBucket": "acme-robots", "UploadsPrefix": "hall 7/"}
TOPIC = "arn:aws:sns:us-east-1:111122223333:robots"
KEY = "arn:aws:kms:us-east-1:111122223333:key/1"


def test_without_an_existing_bucket_nothing_of_it_is_there():
    rendered = json.dumps(render()["Resources"])
    assert "UploadsRule" not in render()["Resources"]
    assert not re.search("acme|UploadsBucket|UploadsTopic|DecryptUploads", rendered)
    assert "UploadsBucketName" not in render()["Outputs"]


def test_an_existing_bucket_reaches_the_queue_through_one_rule_and_belongs_to_nobody_here():
    made = render(UPLOADS)["Resources"]
    assert made.keys() - render()["Resources"].keys() == {"UploadsRule", "UploadsRuleAlarm"}
    rule = made["UploadsRule"]["Properties"]
    assert rule["Targets"] == [{"Id": "inbox", "Arn": "InboxQueue.Arn"}]
    pattern = rule["EventPattern"]
    assert (pattern["source"], pattern["account"]) == (["aws.s3"], [ACCOUNT])
    assert pattern["detail"] == {
        "bucket": {"name": ["acme-robots"]},
        "object": {"key": [{"wildcard": "hall 7/*bin-images/*"}, {"wildcard": "hall 7/*metadata/*"}]},
    }
    for name in pattern["detail-type"]:
        (event,) = read_notification(eventbridge_event(Upload("acme-robots", "bin-images/1.jpg", "v", "1"), name))
        assert not isinstance(event, OtherEvent), f"{name} is of no use to the Checker"
    (allowed,) = [s for s in queue_senders(made) if s["Principal"] != {"Service": "s3.amazonaws.com"}]
    assert allowed["Principal"] == {"Service": "events.amazonaws.com"}
    assert (allowed["Action"], allowed["Resource"]) == ("sqs:SendMessage", "InboxQueue.Arn")
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": "UploadsRule.Arn"}}
    assert render(UPLOADS)["Outputs"]["UploadsBucketName"]["Value"] == "acme-robots"


def test_an_existing_bucket_that_has_a_topic_reaches_the_queue_through_it_alone():
    made = render(UPLOADS | {"UploadsTopicArn": TOPIC})["Resources"]
    assert made.keys() == render()["Resources"].keys()
    (allowed,) = [s for s in queue_senders(made) if s["Principal"] != {"Service": "s3.amazonaws.com"}]
    assert allowed["Principal"] == {"Service": "sns.amazonaws.com"}
    assert allowed["Condition"] == {"ArnEquals": {"aws:SourceArn": TOPIC}}
    assert render({"UploadsTopicArn": TOPIC})["Resources"] == render()["Resources"]


def queue_senders(resources):
    policy = resources["InboxQueuePolicy"]["Properties"]["PolicyDocument"]
    return [s for s in policy["Statement"] if s["Effect"] == "Allow"]


@pytest.mark.parametrize(
    ("function", "objects"),
    [
        ("Checker", {"s3:GetObject"}),
        ("Watchdog", {"s3:GetObject"}),
        ("Review", {"s3:GetObject", "s3:GetObjectVersion"}),  # the page shows the image as it was checked
    ],
)
def test_an_existing_bucket_is_read_and_decrypted_and_nothing_else(function, objects):
    def added(**parameters):
        asked = {"ReviewPage": "yes"}
        asked_for = asked | UPLOADS | parameters
        roles = (render(each)["Resources"][f"{function}Role"]["Properties"] for each in (asked, asked_for))
        before, after = ([s for p in role["Policies"] for s in statements(p["PolicyDocument"])] for role in roles)
        return [s for s in after if s not in before]

    assert {s["Resource"]: set(listed(s["Action"])) for s in added()} == {
        "arn:aws:s3:::acme-robots/*": objects,
        "arn:aws:s3:::acme-robots": {"s3:ListBucket"},
    }
    (decrypt,) = [s for s in added(UploadsKeyArn=KEY) if s not in added()]
    assert (decrypt["Action"], decrypt["Resource"]) == ("kms:Decrypt", KEY)
    assert decrypt["Condition"] == {"StringLike": {"kms:ViaService": "s3.us-east-1.amazonaws.com*"}}
    assert set(added(UploadsKeyArn=KEY, UploadsTopicArn=TOPIC)[0]) == set(added()[0])


@pytest.mark.parametrize("function", ["Counter", "Alerter", "Reporter"])
def test_others_do_not_touch_an_existing_bucket(function):
    asked = render(UPLOADS | {"UploadsKeyArn": KEY})["Resources"]
    assert asked[f"{function}Role"] == render()["Resources"][f"{function}Role"]


def test_the_review_page_shows_the_images_of_all_buckets():
    page = render({"ReviewPage": "yes", "BackfillBucket": "older"} | UPLOADS)["Resources"]["Review"]["Properties"]
    assert page["Environment"]["Variables"]["IMAGE_BUCKETS"].split() == ["InboxBucket", "older", "acme-robots"]


def test_reasons_outlive_the_dead_letters():
    assert FAILURE_RETENTION.total_seconds() > resource("InboxDeadLetters")["MessageRetentionPeriod"]


@pytest.mark.parametrize("queue", QUEUES)
def test_queues_are_encrypted(queue):
    assert resource(queue)["SqsManagedSseEnabled"] is True


def test_checks_are_encrypted_recoverable_and_outlive_the_stack():
    table = resource("ChecksTable")
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    for name in ("ChecksTable", "InboxBucket", "InboxBucketPolicy"):
        assert template()["Resources"][name]["DeletionPolicy"] == "RetainExceptOnCreate"
        assert template()["Resources"][name]["UpdateReplacePolicy"] == "Retain"


NAMES = ("BucketName", "QueueName", "TableName", "TopicName", "FunctionName", "RoleName")


def test_a_first_deployment_that_fails_leaves_nothing_under_a_name_that_the_next_one_needs():
    for name, body in template()["Resources"].items():
        if any(each in body["Properties"] for each in NAMES) and body["Type"] != "AWS::Lambda::Permission":
            assert body.get("DeletionPolicy") != "Retain", name
    for name, policy in of_type("AWS::S3::BucketPolicy").items():
        bucket = template()["Resources"][policy["Bucket"]["Ref"]]
        assert template()["Resources"][name]["DeletionPolicy"] == bucket["DeletionPolicy"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_may_do_nothing_everywhere(function):
    for statement in function_statements(function):
        assert statement["Effect"] == "Allow"
        assert "*" not in json.dumps(statement["Action"])
        assert statement["Resource"] != "*" or set(listed(statement["Action"])) in (TRACING, {"dynamodb:ListStreams"})


TRACING = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}
"""X-Ray has no resource that a policy could name, and `ListStreams` takes none."""
BY_LAMBDA = TRACING | {"logs:CreateLogStream", "logs:PutLogEvents"}
"""What Lambda does for every function under its role."""


def test_each_function_may_do_what_it_does_and_no_more():
    actions = {
        name: sorted(action for s in function_statements(name) for action in listed(s["Action"])) for name in FUNCTIONS
    }
    for name in FUNCTIONS:
        assert set(actions[name]) >= BY_LAMBDA
    assert {name: [one for one in mine if one not in BY_LAMBDA] for name, mine in actions.items()} == {
        "Checker": [
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "s3:GetObject",
            "s3:ListBucket",
            "sagemaker:InvokeEndpoint",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        ],
        "Counter": ["sagemaker:InvokeEndpoint"],
        "Alerter": [
            "dynamodb:DeleteItem",
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
            "dynamodb:PutItem",
            "dynamodb:PutItem",
            "dynamodb:UpdateItem",
            "sns:Publish",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
            "sqs:SendMessage",
        ],
        "Watchdog": [
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "dynamodb:UpdateItem",
            "s3:GetObject",
            "s3:ListBucket",
            "sns:Publish",
        ],
        "Reporter": ["dynamodb:PutItem", "dynamodb:Query", "dynamodb:Query"],
        "Review": [
            "cognito-idp:AdminGetUser",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:ListBucket",
            "secretsmanager:GetSecretValue",
        ],
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_writes_its_own_log_only_and_lambda_alone_takes_its_role(function):
    (log,) = [s for s in function_statements(function) if s["Sid"] == "Log"]
    assert log["Resource"]["Sub"].endswith(f":log-group:/aws/lambda/${{AWS::StackName}}-{function}-*")
    (trust,) = statements(resource(f"{function}Role")["AssumeRolePolicyDocument"])
    assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}


def test_the_reporter_touches_nothing_in_the_table_but_tallies():
    (keep,) = [s for s in function_statements("Reporter") if "dynamodb:PutItem" in listed(s["Action"])]
    assert keep["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [TALLIES, LEGACY_TALLIES]}}


def test_the_alerter_touches_nothing_in_the_table_but_failures_and_writes_of_the_queues_to_its_own_only():
    touching = {s["Sid"]: s for s in function_statements("Alerter") if "ChecksTable.Arn" in str(s["Resource"])}
    assert touching == {"KeepWhyItFailed": touching["KeepWhyItFailed"]}
    keep = touching["KeepWhyItFailed"]
    assert (keep["Action"], keep["Resource"]) == ("dynamodb:PutItem", {"GetAtt": "ChecksTable.Arn"})
    assert keep["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [FAILURES]}}
    queues = [s for s in function_statements("Alerter") if "sqs:" in str(s["Action"])]
    assert [s["Resource"] for s in queues] == [{"GetAtt": "AlertsQueue.Arn"}] * 2


def test_only_the_alerter_alerts():
    alerting = {name for name in FUNCTIONS if {"Ref": "MismatchTopic"} in map(topic_of, function_statements(name))}
    assert alerting == {"Alerter"}


def topic_of(statement):
    return statement["Resource"] if "sns:Publish" in listed(statement["Action"]) else None


def test_the_watchdog_counts_emails_and_changes_no_other_sent_alert():
    (count,) = [s for s in function_statements("Watchdog") if "SentAlertsTable" in str(s["Resource"])]
    assert count["Action"] == "dynamodb:UpdateItem"
    assert count["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [ITEM["id"]["S"]]}}


def test_the_reporter_tells_of_days_only_where_a_digest_is_asked_for():
    ((condition, more, nothing),) = [p["If"] for p in resource("ReporterRole")["Policies"] if "If" in p]
    assert (condition, nothing) == ("SendsDigests", {"Ref": "AWS::NoValue"})
    *told, remember = statements(more["PolicyDocument"])
    assert {s["Action"]: s["Resource"] for s in told} == {
        "dynamodb:Query": {"Sub": "${ChecksTable.Arn}/index/open-by-day"},
        "sns:Publish": {"Ref": "DigestTopic"},
    }
    assert remember["Resource"] == {"GetAtt": "SentAlertsTable.Arn"}
    assert remember["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["digest#*"]}}


@pytest.mark.parametrize("function", ["Alerter", "Reporter"])
def test_links_lead_to_the_review_page_where_there_is_one(function):
    page = resource("Review")["Environment"]["Variables"]["REVIEW_URL"]
    condition, url, nothing = resource(function)["Environment"]["Variables"]["REVIEW_URL"]["If"]
    assert (condition, url, nothing) == ("HasReviewPage", page, {"Ref": "AWS::NoValue"})
    assert template()["Outputs"]["ReviewUrl"]["Value"] == page


def test_chats_are_told_only_where_they_are_asked_for():
    assert template()["Parameters"]["ChatAlerts"]["Default"] == "no"
    ((condition, more, nothing),) = [p["If"] for p in resource("AlerterRole")["Policies"] if "If" in p]
    assert (condition, nothing) == ("SendsChatAlerts", {"Ref": "AWS::NoValue"})
    assert {s["Action"]: s["Resource"] for s in statements(more["PolicyDocument"])} == {
        "sns:Publish": {"Ref": "ChatTopic"}
    }
    assert {template()["Resources"][name]["Condition"] for name in ("ChatTopic", "ChatTopicPolicy")} == {condition}


def test_the_index_by_day_holds_what_a_tally_needs():
    (index,) = [i for i in resource("ChecksTable")["GlobalSecondaryIndexes"] if i["IndexName"] == BY_DAY]
    check = Check("1", "", "a/b", "match", "2026-03-01T12:00:00.000+00:00")
    needed = {"site", "status", "checked_at", "predicted", "probabilities", "suspicion", "model"}
    assert set(index["Projection"]["NonKeyAttributes"]) == needed <= vars(check).keys()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_do_not_stay_for_ever(function):
    log = resource(f"{function}Logs")
    assert log["LogGroupName"] == {"Sub": f"/aws/lambda/${{{function}}}"}
    assert log["RetentionInDays"] <= 90


def test_every_function_is_known_here():
    assert set(FUNCTIONS) == of_type("AWS::Serverless::Function").keys()


def test_functions_are_traced():
    assert GLOBALS["Tracing"] == "Active"


def test_the_counter_answers_only_signed_requests():
    assert resource("Counter")["FunctionUrlConfig"] == {"AuthType": "AWS_IAM"}


def test_the_email_gets_what_is_more_likely_wrong_than_right_and_one_upload_an_hour_that_was_not_checked():
    subscription = template()["Resources"]["HighSeverityEmail"]
    assert subscription["Condition"] == "HasAlertEmail"
    by_severity, hourly = subscription["Properties"]["FilterPolicy"]["$or"]
    assert hourly == {name: [attribute["StringValue"]] for name, attribute in HOURLY.items()}
    (severity,) = by_severity["severity"]
    assert {name: least for least, name in SEVERITIES}[severity] >= 0.5


def test_the_pipeline_is_started_by_nobody_unless_it_is_named():
    parameters = template()["Parameters"]
    assert {parameters[name]["Default"] for name in ("PipelineName", "PipelineSchedule", "LabelsBucket")} == {""}
    started = {name for name, body in template()["Resources"].items() if "Pipeline" in name}
    assert started == {"PipelineStart", "PipelineStartRole", "PipelineStartAlarm"}
    assert {template()["Resources"][name]["Condition"] for name in started} == {"StartsPipeline"}


def test_a_schedule_or_the_index_of_a_labelled_set_starts_the_pipeline_and_nothing_else_may():
    rule = resource("PipelineStart")
    assert rule["ScheduleExpression"]["If"][:2] == ["HasPipelineSchedule", {"Ref": "PipelineSchedule"}]
    condition, pattern, _ = rule["EventPattern"]["If"]
    assert (condition, pattern["detail-type"]) == ("HasLabelsBucket", ["Object Created"])
    assert pattern["detail"] == {
        "bucket": {"name": [{"Ref": "LabelsBucket"}]},
        "object": {"key": [{"wildcard": {"Sub": "${LabelsPrefix}*index.csv"}}]},
    }
    role = resource("PipelineStartRole")
    (trusted,) = statements(role["AssumeRolePolicyDocument"])
    assert trusted["Principal"] == {"Service": "events.amazonaws.com"}
    assert trusted["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    (policy,) = role["Policies"]
    (allowed,) = statements(policy["PolicyDocument"])
    (target,) = rule["Targets"]
    assert allowed["Action"] == "sagemaker:StartPipelineExecution"
    assert allowed["Resource"] == target["Arn"]
    assert target["RoleArn"] == {"GetAtt": "PipelineStartRole.Arn"}


def test_the_review_page_is_there_only_where_it_is_asked_for():
    assert template()["Parameters"]["ReviewPage"]["Default"] == "no"
    parts = {**template()["Resources"], **template()["Outputs"]}
    mine = {name: body["Condition"] for name, body in parts.items() if name.startswith("Review")}
    assert mine == dict.fromkeys(mine, "HasReviewPage")
    kinds = ("ApiGatewayV2", "Cognito", "SecretsManager")
    assert {
        name for name, body in template()["Resources"].items() if any(kind in body["Type"] for kind in kinds)
    } <= set(mine)
    assert {"ReviewUrl", "ReviewUserPoolId"} <= set(mine)


def test_the_review_page_may_write_what_a_review_changes_and_no_other_attribute():
    writing = [s for s in function_statements("Review") if "PutItem" in str(s["Action"])]
    assert [s["Resource"] for s in writing] == [{"GetAtt": "ChecksTable.Arn"}]
    people = template("deploy/permissions.yaml")["Resources"]["ApplicationPolicy"]["Properties"]["PolicyDocument"]
    (findings,) = [s for s in people["Statement"] if s["Sid"] == "RecordFindings"]
    assert writing[0]["Condition"] == findings["Condition"]
    counted = {
        "expected",
        "predicted",
        "probabilities",
        "suspicion",
        "severity",
        "image",
        "metadata",
        "model",
        "status",
    }
    assert not counted & set(findings["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"])


def test_reviewers_are_made_by_an_admin_and_sign_in_on_the_hosted_pages_only():
    pool, client = resource("ReviewUserPool"), resource("ReviewClient")
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
    assert pool["DeletionProtection"] == "ACTIVE"
    assert template()["Resources"]["ReviewUserPool"]["DeletionPolicy"] == "Retain"
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 12
    assert pool["EnabledMfas"] == ["SOFTWARE_TOKEN_MFA"]
    (email,) = pool["Schema"]
    assert (email["Name"], email["Required"], email["Mutable"]) == ("email", True, False), "it signs reviews"
    assert client["GenerateSecret"] is False
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["AllowedOAuthScopes"] == ["openid", "email"]
    assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    page = "${ReviewApi.ApiEndpoint}"
    assert (client["CallbackURLs"], client["LogoutURLs"]) == ([{"Sub": f"{page}/signed-in"}], [{"Sub": f"{page}/"}])


def test_the_review_page_is_throttled_and_logs_no_query():
    stage = resource("ReviewStage")
    assert 0 < stage["DefaultRouteSettings"]["ThrottlingRateLimit"] <= 100
    assert stage["AccessLogSettings"]["DestinationArn"] == {"GetAtt": "ReviewAccessLogs.Arn"}
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert logged["path"] == "$context.path"
    assert "query" not in json.dumps(logged).lower()
    assert resource("ReviewAccessLogs")["RetentionInDays"] <= 90
    (permission,) = of_type("AWS::Lambda::Permission").values()
    assert permission["SourceArn"]["Sub"].endswith(":${ReviewApi}/*/$default")


def test_every_parameter_says_what_it_is():
    assert all(parameter["Description"] for parameter in template()["Parameters"].values())


def test_numbers_that_sam_local_would_drop_are_quoted():
    assert not [name for name, p in template()["Parameters"].items() if isinstance(p.get("Default"), float)]


def physical_names(rendered):
    """The names that the template itself gives to resources. Those of CloudFormation begin with the stack's."""
    for body in rendered["Resources"].values():
        kind = body["Type"].rsplit("::")[-1]
        for key in ("Name", f"{kind}Name", "Domain"):
            name = body["Properties"].get(key)
            # A function's log group has the name that CloudFormation gives the function. A stage is of its API.
            of_another = kind == "Stage" or str(name).removeprefix("/aws/lambda/") in rendered["Resources"]
            if name and not of_another:
                yield name
        for event in body["Properties"].get("Events", {}).values():  # a schedule, which SAM makes a rule of
            yield from filter(None, (event["Properties"].get("Name"), event["Properties"].get("RuleName")))
    for output in rendered["Outputs"].values():
        if "Export" in output:
            yield output["Export"]["Name"]


def namespaces(node):
    """The namespaces of all metrics below a node of the template."""
    if isinstance(node, dict):
        yield from (node[key] for key in ("Namespace", "POWERTOOLS_METRICS_NAMESPACE") if key in node)
    for below in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from namespaces(below)


def test_two_stacks_in_a_region_share_no_name_and_no_metric():
    one, two = (render(EVERYTHING, stack=stack) for stack in ("one", "two"))
    assert set(physical_names(one)) >= {f"one-inbox-{ACCOUNT}-us-east-1", "one-us-east-1", "one-reviewers"}
    assert not set(physical_names(one)) & set(physical_names(two))
    for rendered, stack in ((one, "one"), (two, "two")):
        assert {name for name in namespaces(rendered) if not name.startswith("AWS/")} == {stack}
        body = json.loads(rendered["Resources"]["Dashboard"]["Properties"]["DashboardBody"])
        drawn = [metric[0] for widget in body["widgets"] for metric in widget["properties"]["metrics"]]
        assert {name for name in drawn if not name.startswith("AWS/")} == {stack}


@pytest.mark.parametrize("name", ["template.yaml", "deploy/permissions.yaml"])
def test_no_partition_is_written_out(name):
    text = (ROOT / name).read_text()
    assert not re.findall(r"arn:aws(?!\[)[a-z-]*:", text)
    assert text.count("arn:${AWS::Partition}:") > 10
