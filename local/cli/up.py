"""`bincheck up`: starts the embedded cloud."""

from typing import Annotated

import typer

from local.cli.exits import INTERRUPTED
from local.cli.progress import steps
from local.cli.stack_option import embedded
from local.cli.status import embedded_facts, show_facts
from local.cli.terminal import err, out
from local.embedded.cloud import Status
from local.stack.reviewers import one_time_password

REVIEWER = "reviewer@example.com"


def up(
    review: Annotated[
        bool | None, typer.Option(help="Whether the stack has the review page, with a sign-in. As before by default.")
    ] = None,
) -> None:
    """Start the embedded cloud and the endpoint, and deploy template.yaml to it.

    Running parts keep running, but the endpoint restarts if the model has changed. Bins and checks of earlier runs are
    available again. The template is deployed only if it, the functions or their parameters have changed.
    The environment variable COUNTER_ARTIFACT names the folder of another model.

    [dim]$[/] bincheck up
    [dim]$[/] bincheck drop samples
    [dim]$[/] bincheck mismatches
    [dim]$[/] bincheck up --review
    [dim]$[/] COUNTER_ARTIFACT=model/artifact-fast bincheck up
    """
    cloud = embedded()
    try:
        with steps(out) as report:
            stack = cloud.up(report, review_page=review)
    except KeyboardInterrupt as error:
        _say_what_stays(cloud.status())
        raise typer.Exit(INTERRUPTED) from error
    show_facts(embedded_facts(cloud.status()))
    out.say("Drop bins with `bincheck drop samples`, see alerts with `bincheck watch`.")
    if review:
        password = one_time_password(stack, REVIEWER)
        out.say(
            "Review at {url} as {reviewer}, one-time password {password}",
            url=stack.outputs["ReviewUrl"],
            reviewer=REVIEWER,
            password=password,
        )


def _say_what_stays(now: Status) -> None:
    parts = {"the endpoint": now.endpoint_url, "the cloud": now.cloud_url}
    running = " and ".join(part for part, url in parts.items() if url)
    err.error(
        "interrupted: {running} still running. `bincheck up` continues, `bincheck down` stops everything",
        running=f"{running} {'are' if all(parts.values()) else 'is'}" if running else "nothing is",
    )
