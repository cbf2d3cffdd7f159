"""`mismatches` and `show` on a stack in moto: which checks they list, in which order, and with which links."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from inventory.check import Check, timestamp
from inventory.check_items import check_item
from local.cli import mismatches as mismatches_command
from local.cli import show as show_command
from local.cli.main import app

NOW = timestamp(datetime.now(UTC))
MISMATCH = Check(
    "BOS1/1", "BOS1", "a/b", "mismatch", NOW, expected=3, predicted=2, difference=-1, direction="missing",
    suspicion=0.9, severity="high", probabilities={"2": 0.9, "3": 0.1}, image="s3://inbox/BOS1/bin-images/1.jpg",
)  # fmt: skip
CHECKS = [
    MISMATCH,
    replace(MISMATCH, bin="BOS1/2", suspicion=0.3, severity="medium"),
    replace(MISMATCH, bin="2", site="", suspicion=0.95, difference=2, direction="extra"),
    replace(MISMATCH, bin="AMS/\x1b[31m\u202e3\n4", site="AMS", suspicion=0.05, severity="low"),
]


@pytest.fixture
def bincheck(deployed, monkeypatch):
    stack = replace(deployed, outputs={**deployed.outputs, "ReviewUrl": "https://review.example"})
    for check in CHECKS:
        stack.table.put_item(Item=check_item(check))
    for command in (mismatches_command, show_command):
        monkeypatch.setattr(command, "resolve_stack", lambda _: stack)

    def bincheck(*arguments, exit_code=0):
        said = CliRunner().invoke(app, arguments)
        assert said.exit_code == exit_code, said.output
        return said.output

    return bincheck


@pytest.mark.parametrize(
    ("options", "bins"),
    [
        ([], ["2", "BOS1/1", "BOS1/2", CHECKS[3].bin]),
        (["--severity", "medium", "--severity", "low"], ["BOS1/2", CHECKS[3].bin]),
        (["--direction", "extra"], ["2"]),
        (["--site", "BOS1", "--site", "AMS"], ["BOS1/1", "BOS1/2", CHECKS[3].bin]),
        (["--site", ""], ["2"]),
        (["--least-suspicion", "0.3"], ["2", "BOS1/1", "BOS1/2"]),
        (["--limit", "2"], ["2", "BOS1/1"]),
        (["--kind", "rejected"], []),
        (["--severity", "high", "--direction", "missing", "--site", "BOS1", "--limit", "5"], ["BOS1/1"]),
    ],
)
def test_the_options_select_and_the_most_suspicious_comes_first(bincheck, options, bins):
    listed = [json.loads(line)["bin"] for line in bincheck("mismatches", "--json", *options).splitlines()]
    assert listed == bins


def test_a_value_that_no_check_has_is_wrong_usage(bincheck):
    said = bincheck("mismatches", "--severity", "severe", exit_code=2)
    assert all(choice in said for choice in ("'low'", "'medium'", "'high'"))


def test_people_and_programs_get_the_same_link(bincheck):
    first = json.loads(bincheck("mismatches", "--json").splitlines()[1])
    assert first["link"] == "https://review.example/bin?bin=BOS1%2F1&check=a%2Fb"
    for command in (["mismatches"], ["mismatches", "--csv"], ["show", "BOS1/1"]):
        assert first["link"] in bincheck(*command).replace("\n", "")


def test_hidden_characters_of_a_name_do_not_reach_the_terminal(bincheck):
    said = bincheck("mismatches")
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "AMS/\ufffd[31m\ufffd3\ufffd4" in said


def test_show_opens_the_image_of_the_newest_check(bincheck, monkeypatch):
    opened = []
    monkeypatch.setattr(show_command.webbrowser, "open", opened.append)
    assert "BOS1/1" in bincheck("show", "BOS1/1", "--open")
    (url,) = opened
    assert "/BOS1/bin-images/1.jpg?" in url
    assert "X-Amz-Signature=" in url


def test_show_says_that_no_image_can_be_opened(bincheck, deployed):
    deployed.table.put_item(Item=check_item(replace(MISMATCH, bin="BOS1/9", image=None)))
    bincheck("show", "BOS1/9", "--open", exit_code=1)
