"""docs/alert.schema.json describes what is sent, and what the commands print."""

import json

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from inventory.alerts import Alerts
from inventory.links import Links
from local.cli import mismatches as mismatches_command
from local.cli import show as show_command
from local.cli.main import app
from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack
from tests.builders import image_of, metadata
from tests.functions.conftest import TIMEOUT, account, warehouse  # noqa: F401  (fixtures)
from tests.template import ROOT

SCHEMA = json.loads((ROOT / "docs" / "alert.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
LISTED = {"mismatch": "1", "rejected": "2", "unpaired": "3", "waiting": "4", "reviewed": "5"}


@pytest.fixture
def busy(warehouse, monkeypatch):  # noqa: F811
    """A warehouse with a bin on each list."""
    sns = warehouse.outbox.alerts._sns
    warehouse.outbox.alerts = Alerts(sns, warehouse.topic_arn, Links(None, "us-east-1"))
    for id, expected in (("1", 5), ("5", 5), ("6", 5)):
        warehouse.drop(f"BOS1/bin-images/{id}.jpg", image_of(3))
        check = warehouse.drop(f"BOS1/metadata/{id}.json", metadata(expected))
        if id == "5":
            warehouse.review(check, 3)
    warehouse.drop("BOS1/bin-images/2.jpg", image_of(3))
    warehouse.drop("BOS1/metadata/2.json", b"[]")
    warehouse.drop("BOS1/bin-images/3.jpg", image_of(3))
    warehouse.clock += 2 * TIMEOUT
    warehouse.watchdog()
    warehouse.drop("BOS1/bin-images/4.jpg", image_of(3))
    warehouse.drop("BOS1/metadata/6.json", metadata(3))
    stack = Stack(Cloud.aws(), "bincheck", {"ChecksTableName": "checks", "InboxBucketName": "inbox"})
    for command in (mismatches_command, show_command):
        monkeypatch.setattr(command, "resolve_stack", lambda _: stack)
    return warehouse


def lines(*arguments):
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0, said.output
    return [json.loads(line) for line in said.output.splitlines()]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_every_alert_that_is_sent_is_as_the_schema_says(busy):
    sent = busy.alerts()
    assert {alert["kind"] for alert in sent} == {"mismatch", "rejected", "unpaired", "resolved"}
    for alert in sent:
        del alert["attributes"]
        VALIDATOR.validate(alert)
        assert list(alert) == SCHEMA["required"]
        assert alert["alert_id"]
        assert alert["link"]


@pytest.mark.parametrize("kind", LISTED)
def test_every_line_that_mismatches_prints_is_as_the_schema_says(busy, kind):
    (line,) = lines("mismatches", "--kind", kind, "--since", "2026-01-01", "--site", "BOS1", "--json")
    VALIDATOR.validate(line)
    assert line["bin"] == f"BOS1/{LISTED[kind]}"
    assert line.keys() == SCHEMA["properties"].keys()


def test_a_line_and_an_alert_agree_on_every_field_that_both_have(busy):
    (alert,) = [alert for alert in busy.alerts() if (alert["bin"], alert["kind"]) == ("BOS1/1", "mismatch")]
    (line,) = lines("mismatches", "--since", "2026-01-01", "--json")
    for name in set(SCHEMA["required"]) - {"alert_id", "revision"}:
        assert line[name] == pytest.approx(alert[name]), name


def test_every_line_that_show_prints_is_as_the_schema_says(busy):
    shown = lines("show", "BOS1/6", "--json")
    assert [line["kind"] for line in shown] == ["mismatch", "match"]
    for line in shown:
        VALIDATOR.validate(line)
