"""`bincheck logs` on functions in moto."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from typer.testing import CliRunner

from local.cli import logs
from local.cli.main import app
from local.stack.logs import read_logs
from tests.template import template


@pytest.fixture
def stack(deployed, monkeypatch):
    stack = replace(deployed, outputs={"CheckerFunctionName": "b-Checker", "AlerterFunctionName": "b-Alerter"})
    client = stack.cloud.logs()
    client.create_log_group(logGroupName="/aws/lambda/b-Checker")
    client.create_log_stream(logGroupName="/aws/lambda/b-Checker", logStreamName="s")
    events = [
        {"timestamp": int(time.time() * 1000), "message": text} for text in ("first\n", "a\x1b[2J\nbincheck: done")
    ]
    client.put_log_events(logGroupName="/aws/lambda/b-Checker", logStreamName="s", logEvents=events)
    monkeypatch.setattr(logs, "resolve_stack", lambda _: stack)
    return stack


def test_each_entry_is_a_line_and_a_function_that_never_ran_has_none(stack):
    ran = CliRunner().invoke(app, ["logs"])
    assert ran.exit_code == 0, ran.output
    first, second = ran.stdout.splitlines()
    assert first.endswith("  Checker  first")
    assert second.endswith("  Checker  a\ufffd[2J\ufffdbincheck: done")
    assert "Nothing was logged" in CliRunner().invoke(app, ["logs", "Alerter"]).stderr


def test_an_unknown_function_is_named_with_those_that_there_are(stack):
    ran = CliRunner().invoke(app, ["logs", "Chequer"])
    assert "Alerter, Checker" in str(ran.exception)


def test_following_shows_each_entry_once_and_one_that_comes_late_too(stack, monkeypatch):
    client, now_ms = stack.cloud.logs(), int(time.time() * 1000)
    client.create_log_stream(logGroupName="/aws/lambda/b-Checker", logStreamName="another")
    polls = count()

    def log_meanwhile(_):
        poll = next(polls)
        if poll == 3:
            raise KeyboardInterrupt
        event = {"timestamp": now_ms - 1000 * poll, "message": f"late by {poll} s"}
        client.put_log_events(logGroupName="/aws/lambda/b-Checker", logStreamName="another", logEvents=[event])

    monkeypatch.setattr("local.stack.logs.time.sleep", log_meanwhile)
    followed, shown = read_logs(stack, "Checker", datetime.now(UTC) - timedelta(hours=1), follow=True), []
    with pytest.raises(KeyboardInterrupt):
        shown.extend(line.text for line in followed)
    assert [text.partition("\x1b")[0] for text in shown] == ["first", "a", "late by 0 s", "late by 1 s", "late by 2 s"]


def test_a_shell_completes_the_functions_of_the_template(monkeypatch):
    monkeypatch.setenv("_BINCHECK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "bincheck logs ")
    monkeypatch.setenv("COMP_CWORD", "2")
    completed = CliRunner().invoke(app, [], prog_name="bincheck").stdout.split()
    functions = [name for name, made in template()["Resources"].items() if made["Type"] == "AWS::Serverless::Function"]
    assert sorted(completed) == sorted(functions)
