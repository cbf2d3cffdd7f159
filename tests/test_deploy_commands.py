"""The commands that the pages give for a deployment exist, with the options that they are given."""

import re
import shlex
import tomllib

import botocore.session
import pytest
import typer
from botocore import xform_name

from local.cli.main import app
from tests.template import ROOT, template
from training.jobs.cli import app as jobs

PAGES = ("README.md", "docs/deploy.md", "docs/operations.md", "docs/alerts.md")
SAM_OPTIONS = {
    "build": {"--parameter-overrides"},
    "deploy": {
        "--capabilities", "--parameter-overrides", "--resolve-s3", "--role-arn", "--stack-name", "--template-file",
    },
    "delete": {"--no-prompts", "--stack-name"},
    "local": {"--bucket", "--config-env", "--event", "--key", "--shutdown"},
}  # fmt: skip
"""Options that the pages use, as samcli 1.170 documents them."""
RENAMED = {("sns", "--notification-endpoint"): "--endpoint"}
"""Options that the AWS command line names unlike the API."""
HIGH_LEVEL = {"s3": {"cp", "rb", "rm", "ls", "sync"}, "configure": {"sso"}, "logs": {"tail"}, "lambda": {"invoke"}}
"""Commands of the AWS command line that are no bare operation of the API."""
SESSION = botocore.session.get_session()


def commands(page, *tools):
    """The command lines of a page that begin with one of the tools, each a line of a block or a span."""
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))
    spans = [span for span in spans if re.match(r"(uv run )?\w+ [a-z]", span) and "…" not in span]
    return sorted({line for line in [*lines, *spans] if re.match(f"(?:uv run .*)?(?:{'|'.join(tools)}) ", line)})


def found(*tools):
    return [(page, line) for page in PAGES for line in commands(page, *tools)]


def test_commands_are_found():
    assert len(found("sam")) > 8
    assert len(found("aws")) > 12
    assert len(found("bincheck", "python -m training.jobs")) > 25


def words_of(line):
    return shlex.split(line.split("; ")[0], comments=True)


GROUPS = {"bincheck": typer.main.get_command(app), "training.jobs": typer.main.get_command(jobs)}


@pytest.mark.parametrize(("page", "line"), found("bincheck", "python -m training.jobs"))
def test_a_command_of_ours_has_the_options_that_a_page_gives_it(page, line):
    words = words_of(line)
    (tool,) = GROUPS.keys() & set(words)
    command, rest = GROUPS[tool], words[words.index(tool) + 1 :]
    if not rest[0].startswith("-"):
        command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}
    assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= known


@pytest.mark.parametrize(("page", "line"), found("sam"))
def test_a_command_of_sam_has_options_and_parameters_that_exist(page, line):
    _, name, *rest = words_of(line)
    assert {word for word in rest if word.startswith("--")} <= SAM_OPTIONS[name]
    source = "template.yaml"
    if "--template-file" in rest:
        source = rest[rest.index("--template-file") + 1]
    for parameter, value in (word.split("=", 1) for word in rest if re.match(r"[A-Z]\w+=", word)):
        declared = template(source if parameter != "Stack" else "deploy/permissions.yaml")["Parameters"][parameter]
        if "<" not in value:
            assert re.fullmatch(declared.get("AllowedPattern", ".*"), value), parameter
            assert value in declared.get("AllowedValues", [value]), parameter


def test_the_defaults_of_sam_are_options_that_the_pages_leave_out():
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())["default"]["deploy"]["parameters"]
    assert config["resolve_s3"]
    assert config["capabilities"] == "CAPABILITY_IAM"
    names = ("RoleName", "UserName", "ManagedPolicyName", "GroupName")
    for source in ("template.yaml", "deploy/permissions.yaml"):
        for body in template(source)["Resources"].values():
            assert not any(name in body["Properties"] for name in names), "needs CAPABILITY_NAMED_IAM"


@pytest.mark.parametrize(("page", "line"), found("aws"))
def test_a_command_of_aws_is_a_request_that_the_api_takes(page, line):
    """By botocore's models."""
    _, service, operation, *words = words_of(line)
    if operation in HIGH_LEVEL.get(service, ()):
        return
    service = {"s3api": "s3"}.get(service, service)
    model = SESSION.get_service_model(service)
    (name,) = [one for one in model.operation_names if xform_name(one, "-") == operation]
    shape = model.operation_model(name).input_shape
    members = {f"--{xform_name(member, '-')}": member for member in shape.members}
    options = {RENAMED.get((service, word), word) for word in words if word.startswith("--")}
    assert options <= members.keys() | {"--query", "--output", "--region"}
    required = {f"--{xform_name(member, '-')}" for member in shape.required_members}
    assert required <= options
