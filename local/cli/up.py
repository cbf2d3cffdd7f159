"""`bincheck up`: starts the embedded cloud."""

from typing import Annotated

import typer

from local.cli.progress import steps
from local.cli.stack_option import embedded
from local.cli.status import embedded_facts, show_facts
from local.cli.terminal import out
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

    [dim]$[/] bincheck up
    [dim]$[/] bincheck drop samples
    [dim]$[/] bincheck mismatches
    [dim]$[/] bincheck up --review
    """
    cloud = embedded()
    with steps(out) as report:
        stack = cloud.up(report, review_page=review)
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
