"""`bincheck smoke`: sends one bin through a deployed stack, and says how long each step took."""

from typing import Annotated

import typer

from local.cli.exits import FAILED
from local.cli.stack_option import StackName, resolve_stack
from local.cli.terminal import err, out, print_json
from local.stack import smoke as steps


def smoke(
    stack: StackName = None,
    timeout: Annotated[
        float, typer.Option(min=1, max=3600, help="The most seconds to wait for the check, and for the alert.")
    ] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Upload one rendered bin with a wrong record, wait for its check and its alert, and remove it.

    Says how long each step took, and where to look if one takes too long. The bin is at the site
    [bold]bincheck-smoke[/]. Whoever subscribes to the alerts receives its alert. Uploads, checks and alert are removed
    also after a failure and after Ctrl-C.

    [dim]$[/] bincheck smoke --stack bincheck
    [dim]$[/] bincheck smoke --stack bincheck --json | jq .took_s.alert
    """
    deployed = resolve_stack(stack)
    took_s: dict[str, float] = {}

    def report(step: steps.Step) -> None:
        took_s[step.name] = round(step.took_s, 2)
        if not as_json:
            out.say("✓ {name}  {took_s:.1f} s", style="green", name=step.name.ljust(9), took_s=step.took_s)

    failure = None
    try:
        steps.run(deployed, report, timeout)
    except steps.SmokeFailed as error:
        failure = str(error)
    if as_json:
        print_json({"stack": deployed.name, "ok": failure is None, "took_s": took_s, "failure": failure})
    elif failure:
        err.error("{failure}", failure=failure)
    if failure:
        raise typer.Exit(FAILED)
