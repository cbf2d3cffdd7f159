"""The command line without a cloud: help, wrong usage, and exit codes that mean something."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
import typer
from typer.testing import CliRunner

from inventory.check import Kind
from inventory.verdict import Direction, Severity
from local.cli.filter_options import DirectionChoice, KindChoice, SeverityChoice
from local.cli.main import app
from local.cli.since_option import parse_since
from local.cli.watch import filter_policy

COMMANDS = tuple(typer.main.get_command(app).commands)


@pytest.fixture
def bincheck(tmp_path):
    def bincheck(*arguments):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {"BINCHECK_FOLDER": str(tmp_path / "state"), "COLUMNS": "200", "NO_COLOR": "1"}
        environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        environment |= {"AWS_EC2_METADATA_DISABLED": "true"}
        command = [sys.executable, "-m", "local.cli.main", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return bincheck


def help_of(*arguments):
    shown = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, [*arguments, "--help"])
    assert shown.exit_code == 0, shown.exception
    return shown.stdout


def test_help_teaches_every_command_and_the_exit_codes():
    help = help_of()
    assert "Exit codes: 0 done" in help
    assert [command for command in COMMANDS if command not in help] == []


@pytest.mark.parametrize("command", [command for command in COMMANDS if command not in ("down",)])
def test_each_command_shows_an_example(command):
    assert f"$ bincheck {command}" in help_of(command)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["mismatches"], 3, "start it with `bincheck up`"),
        (["show", "1"], 3, "start it with `bincheck up`"),
        (["drop", "samples"], 3, "start it with `bincheck up`"),
        (["status"], 3, ""),
        (["mismatches", "--stack", "bincheck"], 1, "AWS region is missing"),
        (["mismatches", "--since", "yesterday"], 2, "30m, 12h, 7d"),
        (["mismatches", "--json", "--csv"], 2, "choose one"),
        (["resolve", "1"], 2, "--actual N, --false-alarm, --unclear and --withdraw"),
        (["resolve", "1", "--actual", "3", "--false-alarm"], 2, "one of --actual N"),
        (["resolve", "1", "--unclear", "--withdraw"], 2, "one of --actual N"),
        (["watch", "--severity", "severe"], 2, "'low', 'medium', 'high'"),
        (["drop"], 2, "Missing argument"),
        (["dead-letters"], 3, "start it with `bincheck up`"),
        (["dead-letters", "--redrive", "--drop"], 2, "choose one"),
        (["dead-letters", "--archive", "file"], 2, "goes with --drop"),
        (["backfill", "s3://inbox"], 3, "start it with `bincheck up`"),
    ],
)
def test_exit_codes(bincheck, arguments, code, said):
    outcome = bincheck(*arguments)
    assert outcome.returncode == code, outcome.stderr
    assert said in outcome.stderr


@pytest.mark.parametrize(
    "arguments", [["watch", "--kind", "match"], ["mismatches", "--kind", "match"], ["mismatches", "--direction", "up"]]
)
def test_a_value_that_is_no_choice_is_wrong_usage(arguments):
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 2, ran.output


def test_help_is_short_and_a_version_is_said():
    for arguments in (["-h"], *([*command, "-h"] for command in (["watch"], ["drop"]))):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    assert re.fullmatch(r"bincheck \d+\.\d+\.\d+\S*\n", CliRunner().invoke(app, ["--version"]).output)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_page_opens_and_names_no_type_of_a_flag(command):
    ran = CliRunner(env={"COLUMNS": "60"}).invoke(app, [command, "--help"])
    assert ran.exit_code == 0, ran.exception
    assert "<bool>" not in ran.output
    assert ran.exception is None


@pytest.mark.parametrize(
    ("choices", "values"), [(SeverityChoice, Severity), (DirectionChoice, Direction), (KindChoice, Kind)]
)
def test_every_value_is_a_choice(choices, values):
    assert {choice.value for choice in choices} == set(get_args(values))


def test_choices_show_in_help():
    assert "low|medium|high" in help_of("watch")
    assert "mismatch|rejected|unpaired|resolved" in help_of("watch")
    assert "mismatch|rejected|waiting|unpaired|reviewed|unclear" in help_of("mismatches")


def test_down_with_nothing_running_is_no_error(bincheck):
    assert bincheck("down").stdout == "Nothing was running.\n"


def test_what_a_listener_asks_for_becomes_a_filter_policy():
    assert filter_policy() == {}
    assert filter_policy(severity=["high"], direction=["missing"], suspicion=0.5) == {
        "severity": ["high"],
        "direction": ["missing"],
        "suspicion": [{"numeric": [">=", 0.5]}],
    }


def test_since_takes_spans_and_dates():
    assert abs(datetime.now(UTC) - parse_since("12h") - timedelta(hours=12)) < timedelta(minutes=1)
    assert parse_since("2026-11-21T10:00+00:00") == datetime(2026, 11, 21, 10, tzinfo=UTC)
