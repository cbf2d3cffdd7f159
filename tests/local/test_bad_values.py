"""Bad values for every option of every command: one line that names the option, an exit code, never a traceback."""

import inspect
import re
import socket
import sys
from typing import get_type_hints

import pytest
import typer
from botocore import exceptions as aws
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from local.cli import main, stack_option
from local.cli.main import app
from local.cli.since_option import parse_since
from local.embedded.cloud import EmbeddedCloud, Status

ROOT = typer.main.get_command(app)
WRONG = {
    "int": ("two", "-1", "2.5", ""),
    "float": ("x", "-1", "nan", "inf", ""),
    "Choice": ("severe", ""),
    "Literal": ("severe", ""),
    "datetime": ("yesterday", "7", "-1d", "9999999d", "0001-01-01", ""),
}


def parameters():
    """Each option of each command whose values have a form, with wrong values of it."""
    for name, command in sorted(ROOT.commands.items()):
        hints = get_type_hints(inspect.unwrap(command.callback))
        for parameter in command.params:
            written = str(hints.get(parameter.name, ""))
            wrong = [value for form, values in WRONG.items() if re.search(rf"{form}\b", written) for value in values]
            if wrong:
                yield pytest.param(name, parameter.opts[-1], wrong, id=f"{name} {parameter.opts[-1]}")


def required(command):
    """The required arguments of a command, with any value."""
    return ["nothing" for each in ROOT.commands[command].params if each.param_type_name == "argument" and each.required]


@pytest.fixture
def bincheck(capsys, monkeypatch, tmp_path):
    """Runs the command as `main` does, and answers its exit code and what it complained of."""
    monkeypatch.setenv("BINCHECK_FOLDER", str(tmp_path / "state"))

    def bincheck(*arguments):
        monkeypatch.setattr(sys, "argv", ["bincheck", *arguments])
        with pytest.raises(SystemExit) as end:
            main.main()
        return end.value.code, capsys.readouterr().err

    return bincheck


def assert_one_line(code, said):
    assert code in (1, 2, 3), (code, said)
    assert said.startswith("bincheck: ")
    assert said.count("\n") == 1, said


@pytest.mark.parametrize(("command", "option", "wrong"), list(parameters()))
def test_a_bad_value_is_wrong_usage(bincheck, command, option, wrong):
    for value in wrong:
        code, said = bincheck(command, *required(command), f"{option}={value}")
        assert_one_line(code, said)
        assert (code, option in said) == (2, True), (value, said)


def test_every_option_with_a_form_is_tried():
    tried = {f"{values[0]} {values[1]}" for values in (each.values for each in parameters())}
    assert {"resolve --actual", "watch --suspicion", "mismatches --kind", "logs --since", "endpoint --port"} <= tried


@pytest.mark.parametrize("command", sorted(ROOT.commands))
def test_wrong_usage_names_the_help(bincheck, command):
    code, said = bincheck(command, "--no-such-option")
    assert_one_line(code, said)
    assert (code, f"`bincheck {command} -h`" in said, "--no-such-option" in said) == (2, True, True)


@pytest.mark.parametrize(
    "command", sorted(ROOT.commands.keys() - {"demo", "up", "down", "endpoint", "status", "count", "doctor"})
)
def test_without_a_cloud_each_command_says_how_to_start_one(bincheck, command):
    finding = ["--unclear"] if command == "resolve" else []
    code, said = bincheck(command, *required(command), *finding)
    assert_one_line(code, said)
    assert (code, "`bincheck up`" in said) == (3, True)
    assert ("--stack" in said) == any(each.name == "stack" for each in ROOT.commands[command].params)


@pytest.mark.parametrize("folder", ["/nowhere/below", "/proc/sys", "/dev/null/below"])
def test_a_folder_or_file_that_cannot_be_written_is_named(bincheck, monkeypatch, folder):
    sample = str(main.demo.ROOT / "samples/bin-images/r003.jpg")
    code, said = bincheck("count", sample, "--page", f"{folder}/page.html")
    assert_one_line(code, said.splitlines(keepends=True)[-1])
    assert folder in said
    monkeypatch.setenv("BINCHECK_FOLDER", "/dev/null/below")
    for command in ("down", "demo", "up"):
        code, said = bincheck(command)
        assert_one_line(code, said)
        assert "/dev/null/below" in said


@pytest.mark.parametrize("command", ["endpoint", "review"])
def test_a_port_in_use_is_named(bincheck, monkeypatch, command):
    monkeypatch.setattr(main.review, "resolve_stack", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, said = bincheck(command, "--port", port)
    assert_one_line(code, said)
    assert port in said
    assert "--port" in said


def answer(code):
    return ClientError({"Error": {"Code": code, "Message": "said so\nin two lines"}}, "DescribeStacks")


@pytest.mark.parametrize(
    ("failure", "cure"),
    [
        (aws.NoCredentialsError(), "aws configure"),
        (aws.NoRegionError(), "AWS_DEFAULT_REGION"),
        (aws.ProfileNotFound(profile="stale"), "AWS_PROFILE"),
        (aws.UnauthorizedSSOTokenError(), "aws sso login"),
        (aws.TokenRetrievalError(provider="sso", error_msg="no"), "aws sso login"),
        (aws.SSLError(endpoint_url="https://x", error="own authority"), "AWS_CA_BUNDLE"),
        (aws.EndpointConnectionError(endpoint_url="https://sqs.nowhere-1.amazonaws.com"), "check the region"),
        (aws.EndpointConnectionError(endpoint_url="http://127.0.0.1:4566"), "bincheck up"),
        (aws.ReadTimeoutError(endpoint_url="https://x"), "check the region"),
        (answer("ExpiredToken"), "sign in again"),
        (answer("ExpiredTokenException"), "sign in again"),
        (answer("InvalidClientTokenId"), "AWS_PROFILE"),
        (answer("AccessDenied"), "docs/deploy.md"),
        (answer("Throttling"), "said so"),
        (PermissionError(13, "Permission denied", "/etc/x"), "/etc/x: Permission denied"),
        (OSError(28, "No space left on device"), "No space left"),
    ],
)
def test_a_failure_says_its_cure(bincheck, monkeypatch, failure, cure):
    def fail(*_):
        raise failure

    monkeypatch.setattr(main.mismatches, "resolve_stack", fail)
    code, said = bincheck("mismatches")
    assert_one_line(code, said)
    assert code == 1
    assert cure in said


@pytest.mark.parametrize(
    "setting", [("AWS_ENDPOINT_URL", "nonsense"), ("AWS_PROFILE", "stale"), ("AWS_DEFAULT_REGION", "1")]
)
def test_an_account_that_the_shell_misnames_is_one_line(bincheck, monkeypatch, setting):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv(*setting)
    code, said = bincheck("status", "--stack", "b")
    assert_one_line(code, said)
    assert setting[1] in said


def test_an_interrupted_up_says_what_stays(bincheck, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(EmbeddedCloud, "up", interrupt)
    code, said = bincheck("up")
    assert (code, "nothing is still running" in said, "`bincheck down`" in said) == (130, True, True)
    monkeypatch.setattr(EmbeddedCloud, "status", lambda self: Status(self.folder, None, "http://127.0.0.1:1", None))
    assert "the endpoint is still running" in bincheck("up")[1]


def test_outside_its_checkout_the_command_says_so(bincheck, monkeypatch, tmp_path):
    monkeypatch.setattr(stack_option.sam, "ROOT", tmp_path)
    for command in ("up", "demo", "status", "down", "mismatches"):
        code, said = bincheck(command)
        assert_one_line(code, said)
        assert (code, "in the checkout" in said) == (3, True)


@given(st.text(max_size=12) | st.from_regex(r"[0-9]{1,6}[mhdw]", fullmatch=True) | st.datetimes().map(str))
def test_a_time_is_read_or_refused(text):
    try:
        moment = parse_since(text)
    except typer.BadParameter:
        return
    assert moment.tzinfo
