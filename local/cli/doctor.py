"""`bincheck doctor`: says what is wrong with a deployment, or would be, and what to do."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from local.cli.exits import FAILED
from local.cli.terminal import out, print_json
from local.stack.aws import Cloud
from local.stack.deployed_stack import find_stack
from local.stack.doctor.examination import Finding, examine
from local.stack.doctor.values import Place

MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


def doctor(
    stack: Annotated[
        str | None,
        typer.Option("--stack", metavar="NAME", help="A stack deployed in AWS. Without it: before a deployment."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
) -> None:
    """Say what is wrong with a deployment and what to do. Without [bold]--stack[/]: what would stop a first one.

    Nothing is changed. One call of the endpoint, with a rendered image, is counted in its metrics. All checks are made,
    whatever the others find. The exit code is 1 if one failed; warnings do not count.

    [dim]$[/] bincheck doctor
    [dim]$[/] bincheck doctor --stack bincheck --json | jq 'select(.state != "ok")'
    """
    now, aws = datetime.now(UTC), Cloud.aws()
    place = Place.of(find_stack(aws, stack), now) if stack else Place(aws, now)
    findings = []
    for finding in examine(place):
        findings.append(finding)
        print_json(asdict(finding)) if as_json else _print(finding)
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(FAILED)


def _print(finding: Finding) -> None:
    mark, style = MARKS[finding.state]
    out.say("{mark} {check}: {found}", style=style, mark=mark, check=finding.check, found=finding.found)
    if finding.remedy:
        out.say("  {remedy}", remedy=finding.remedy)
