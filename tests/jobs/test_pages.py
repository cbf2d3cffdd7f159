"""Every command of the pages can be run."""

import json
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import typer
from botocore import xform_name
from botocore.model import OperationModel
from botocore.validate import validate_parameters

from local.cli.main import app as bincheck
from local.embedded import sam
from tests.test_permissions import actions
from training.jobs import settings as settings_file
from training.jobs.aws import dry_run
from training.jobs.cli import app as jobs

from .conftest import requests_of

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/deploy.md", "docs/costs.md", "docs/operations.md")
PROGRAMS = {"aws", "sam", "uv"}
IN_S3 = {"cp": set(), "rb": {"--force"}, "rm": {"--recursive"}}
"""Commands of `aws s3`, which are no operations of an API, with their options that we use."""

RENAMED = {"--notification-endpoint": "--endpoint"}
"""Parameters whose names the AWS command line keeps for itself."""
OF_THE_COMMAND_LINE = {"--query", "--output"}
"""Options of its own, which say what it prints."""
NAMED_OTHERWISE = {
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectsV2": "s3:ListBucket",
}
"""Operations whose right has another name."""
DISPENSABLE = {"sts:GetCallerIdentity", "iam:SimulatePrincipalPolicy"}
"""The first needs no right; the SDK goes on as well when the second is denied."""


def commands() -> list[list[str]]:
    found = []
    for page in PAGES:
        for _, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE):
            lines = block.replace("\\\n", " ").replace("|\n", "| ").splitlines()
            shown = (line for line in lines if line.strip().split(" ")[0] in PROGRAMS and "|" not in line)
            found += [shlex.split(line.partition(" > ")[0], comments=True) for line in shown]
    return found


def those(*start: str) -> list[Any]:
    rest = [command[len(start) :] for command in commands() if tuple(command[: len(start)]) == start]
    return [pytest.param(command, id=" ".join(command)[:60]) for command in rest]


def parsed(app: typer.Typer, arguments: list[str]) -> None:
    name, *rest = arguments
    typer.main.get_command(app).commands[name].make_context(name, rest)  # type: ignore[attr-defined]


def test_pages_show_commands() -> None:
    assert {command[0] for command in commands()} == PROGRAMS
    assert len(commands()) > 30


@pytest.mark.parametrize("arguments", those("uv", "run", "--group", "jobs", "python", "-m", "training.jobs"))
def test_commands_of_jobs_are_valid(arguments: list[str]) -> None:
    parsed(jobs, arguments)


@pytest.mark.parametrize("arguments", those("uv", "run", "bincheck"))
def test_commands_of_bincheck_are_valid(arguments: list[str]) -> None:
    parsed(bincheck, arguments)


@cache
def help_of_sam(*command: str) -> str:
    done = subprocess.run(sam.command([*command, "--help"]), capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("arguments", those("sam"))
def test_commands_of_sam_have_the_options_that_it_knows(arguments: list[str]) -> None:
    command = arguments[:2] if arguments[0] == "local" else arguments[:1]
    for option in (argument for argument in arguments if argument.startswith("--")):
        assert option in help_of_sam(*command)


@pytest.mark.parametrize("arguments", those("aws"))
def test_commands_of_aws_have_the_parameters_that_the_api_knows(arguments: list[str]) -> None:
    service, command, *rest = arguments
    if service == "s3":
        assert {argument for argument in rest if argument.startswith("--")} <= IN_S3[command]
        return
    model = botocore.session.get_session().get_service_model("s3" if service == "s3api" else service)
    (operation,) = [name for name in model.operation_names if xform_name(name, "-") == command]
    chosen = {RENAMED.get(name, name): value for name, value in zip(rest[::2], rest[1::2], strict=True)}
    chosen = {name: value for name, value in chosen.items() if name not in OF_THE_COMMAND_LINE}
    validate_parameters(_values(model.operation_model(operation), chosen), model.operation_model(operation).input_shape)


def _values(operation: OperationModel, chosen: dict[str, str]) -> dict[str, Any]:
    known = {f"--{xform_name(name, '-')}": name for name in operation.input_shape.members}
    assert set(chosen) <= set(known)
    shapes = operation.input_shape.members
    return {
        known[option]: value if shapes[known[option]].type_name == "string" else json.loads(_content(value))
        for option, value in chosen.items()
    }


def _content(value: str) -> str:
    """The JSON of a parameter. That of a file is not in the page, so it stands for an empty object."""
    return "{}" if value.startswith("file://") else value


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("JobsPolicy", ["deploy --model model/artifact", "delete", "prepare", "train", "tune"]),
        ("ExecutionRole", ["deploy --model model/artifact"]),  # the last step of a pipeline does the same
    ],
)
def test_what_is_sent_is_permitted(jobs: Any, monkeypatch: pytest.MonkeyPatch, name: str, chosen: list[str]) -> None:
    asked: set[str] = set()
    note = dry_run.DryRun._note

    def noted(self: dry_run.DryRun, params: dict[str, Any], model: OperationModel, **more: Any) -> None:
        asked.add(f"{model.service_model.service_name}:{model.name}")
        note(self, params, model, **more)

    monkeypatch.setattr(dry_run.DryRun, "_note", noted)
    monkeypatch.chdir(ROOT)
    (toml,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
    ours = toml + '[train]\ndata = "s3://our-bucket/d"\n'
    for command in chosen:
        requests_of(jobs(*command.split(), "--dry-run", toml=ours))
    needed = {NAMED_OTHERWISE.get(action, action) for action in asked} - DISPENSABLE
    if name == "ExecutionRole":
        needed.discard("s3:CreateBucket")  # it is there by then
    assert {"sagemaker:CreateEndpoint", "s3:PutObject"} <= needed
    assert needed <= actions(name)


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.DOTALL)
    (tmp_path / "bincheck.toml").write_text(toml)
    assert settings_file.load(tmp_path / "bincheck.toml").aws.role.startswith("arn:aws:iam::")
