"""docs/alerts.md: each command and each function of the page runs, without Slack, Teams and PagerDuty."""

import base64
import io
import json
import re
import shlex
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import boto3
import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from inventory.alert_text import body_text, subject
from inventory.alerts import HOURLY, attributes, body
from inventory.check import Alert, LastAlert
from inventory.links import Links
from tests.functions.conftest import account  # noqa: F401  (a fixture)
from tests.functions.test_alerts import ALERTS, MATCH, MISMATCH, REJECTED
from tests.template import ROOT

PAGE = (ROOT / "docs" / "alerts.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
HIGH = replace(MISMATCH, suspicion=0.91, severity="high", probabilities={"2": 0.88, "3": 0.04, "4": 0.08})
RENAMED = {"--notification-endpoint": "--endpoint"}
"""Options that the AWS command line names unlike the API."""
INBOX = "s3://bincheck-inbox-111122223333-us-east-1/BOS1"


def request(command):
    """The service, the operation and the parameters of a command line of `aws`."""
    aws, service, operation, *words = shlex.split(command)
    assert aws == "aws"
    model = botocore.session.get_session().get_service_model(service)
    (name,) = [one for one in model.operation_names if xform_name(one, "-") == operation]
    shape = model.operation_model(name).input_shape
    members = {f"--{xform_name(member, '-')}": member for member in shape.members}
    kinds = {member: one.type_name for member, one in shape.members.items()}
    values = {}
    for option, value in zip(words[::2], words[1::2], strict=True):
        member = members[RENAMED.get(option, option)]
        values[member] = {"list": lambda text: [text], "map": json.loads}.get(kinds[member], str)(value)
    errors = ParamValidator().validate(values, shape)
    assert not errors.has_errors(), errors.generate_report()
    return service, name, values


def policy_of(values):
    return json.loads(values.get("AttributeValue") or values["Attributes"]["FilterPolicy"])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_aws_takes(command):
    assert request(command)


def test_the_commands_connect_slack_teams_pagerduty_and_a_webhook():
    assert [request(command)[1] for command in COMMANDS] == [
        "CreateSlackChannelConfiguration", "CreateMicrosoftTeamsChannelConfiguration", "SetSubscriptionAttributes",
        "Subscribe", "SetTopicAttributes", "Subscribe",
    ]  # fmt: skip


LOW = replace(MISMATCH, severity="low", suspicion=0.05, site="AMS")
SENT = {
    "high": Alert("mismatch", HIGH, 1),
    "low": Alert("mismatch", LOW, 1),
    "rejected": Alert("rejected", replace(REJECTED, severity="medium", suspicion=None, direction=None), 1),
    "resolved": Alert("resolved", replace(MATCH, resolves=asdict(LastAlert.of(HIGH))), 2),
}


@pytest.mark.parametrize(
    ("position", "received"),
    [(2, {"high", "rejected", "resolved"}), (3, {"high", "resolved"}), (5, {"high", "resolved"})],
)
def test_a_filter_policy_lets_through_what_the_page_promises(account, position, received):  # noqa: F811
    _, _, values = request(COMMANDS[position])
    topic = boto3.resource("sns", region_name="us-east-1").create_topic(Name="alerts")
    queue = boto3.resource("sqs", region_name="us-east-1").create_queue(QueueName="subscriber")
    subscription = topic.subscribe(
        Protocol="sqs", Endpoint=queue.attributes["QueueArn"], Attributes={"RawMessageDelivery": "true"}
    )
    subscription.set_attributes(AttributeName="FilterPolicy", AttributeValue=json.dumps(policy_of(values)))
    for name, alert in SENT.items():
        topic.publish(Message=name, MessageAttributes=attributes(alert))
    assert {message.body for message in queue.receive_messages(MaxNumberOfMessages=10)} == received


def test_the_email_on_the_page_is_one_that_is_sent():
    check = replace(
        HIGH, check="v1/v2", interval=(1, 3), image=f"{INBOX}/bin-images/523.jpg", metadata=f"{INBOX}/metadata/523.json"
    )
    alert = Alert("mismatch", check, 1)
    link = Links("https://example.execute-api.us-east-1.amazonaws.com").link(check)
    (text,) = [text for kind, text in BLOCKS if kind == "text"]
    assert body_text(alert, link) == text.strip()
    assert f"`{subject(alert)}`" in PAGE


def test_the_page_lists_every_attribute():
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*) \|", PAGE, re.MULTILINE)))
    assert set(named) == attributes(ALERTS["mismatch"]).keys() | HOURLY.keys()


# PagerDuty


def python(name):
    (code,) = [text for kind, text in BLOCKS if kind == "python" and f"def {name}(" in text]
    space = {}
    exec(compile(code, "docs/alerts.md", "exec"), space)
    return space


def test_pagerduty_ends_the_incident_that_it_began():
    event = python("pagerduty_event")["pagerduty_event"]
    began = event(body(SENT["high"], "https://review.example"), "key")
    assert (began["event_action"], began["payload"]["severity"]) == ("trigger", "critical")
    assert began["payload"]["summary"] == "Bin BOS1/523: recorded 3, seen 2"
    assert began["links"] == [{"href": "https://review.example", "text": "Review"}]
    ended = event(body(SENT["resolved"]), "key")
    assert ended == {"routing_key": "key", "event_action": "resolve", "dedup_key": began["dedup_key"]}
    assert event(body(SENT["rejected"]), "key")["payload"]["summary"] == "Bin BOS1/523: rejected"


# The webhook


@pytest.fixture(scope="module")
def signer():
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return SimpleNamespace(key=key, pem=pem)


@pytest.fixture
def webhook(signer):
    """The page's functions, and the addresses that they opened."""
    space = python("receive")
    opened = []

    def urlopen(url, timeout):
        opened.append(url)
        return io.BytesIO(signer.pem)

    space["urlopen"] = urlopen
    return SimpleNamespace(receive=space["receive"], opened=opened, topic=space["TOPIC"])


def signed(signer, topic, **changed):
    """A request body of SNS, signed as SNS documents it."""
    message = {
        "Type": "Notification",
        "MessageId": "1",
        "TopicArn": topic,
        "Subject": "Bin 1",
        "Message": json.dumps({"bin": "1"}),
        "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "SignatureVersion": "2",
        "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
    } | changed
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if message["Type"] != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    signature = signer.key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return message | {"Signature": base64.b64encode(signature).decode()}


@pytest.mark.parametrize("subject", [{}, {"Subject": "Bin ü"}])
def test_the_webhook_takes_what_sns_signed_and_fetches_its_certificate_once(webhook, signer, subject):
    for _ in range(2):
        body = json.dumps(signed(signer, webhook.topic, **subject)).encode()
        assert webhook.receive(body) == {"bin": "1"}
    assert webhook.opened == ["https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem"]


def test_the_webhook_confirms_its_subscription(webhook, signer):
    confirm = {"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns.example/confirm", "Token": "t"}
    message = signed(signer, webhook.topic, **confirm)
    del message["Subject"]
    assert webhook.receive(json.dumps(message).encode()) is None
    assert webhook.opened[-1] == "https://sns.example/confirm"


@pytest.mark.parametrize(
    "forged",
    [
        {"Message": '{"bin": "2"}'}, {"Subject": "another"}, {"Signature": "AAAA"}, {"Signature": "no base 64"},
        {"Type": "UnsubscribeConfirmation"},
    ],
)  # fmt: skip
def test_the_webhook_refuses_what_was_changed_after_it_was_signed(webhook, signer, forged):
    with pytest.raises(ValueError, match=r"is not signed by SNS|Incorrect padding"):
        webhook.receive(json.dumps(signed(signer, webhook.topic) | forged).encode())


@pytest.mark.parametrize(
    "named",
    [
        {"TopicArn": "arn:aws:sns:us-east-1:444455556666:bincheck"},
        {"SignatureVersion": "1"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com.evil.example/x.pem"},
        {"SigningCertURL": "http://sns.us-east-1.amazonaws.com/x.pem"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com@evil.example/x.pem"},
        {"SigningCertURL": "https://sns.us-east-1.amazonaws.com/?Action=x.pem"},
        {"Timestamp": "2026-03-01T12:00:00.000Z"},
    ],
)
def test_the_webhook_refuses_other_topics_certificates_and_times_and_asks_nobody(webhook, signer, named):
    with pytest.raises(ValueError, match=r"another topic|is old|is not from SNS"):
        webhook.receive(json.dumps(signed(signer, webhook.topic, **named)).encode())
    assert webhook.opened == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"null", b"\xff"])
def test_the_webhook_refuses_what_is_no_message(webhook, body):
    with pytest.raises(ValueError, match=r"is not signed by SNS|Expecting value|can't decode"):
        webhook.receive(body)
