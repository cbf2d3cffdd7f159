"""`bincheck up`: starts the embedded cloud."""

from typing import Annotated

import typer
from rich.console import Console

from local.cli.progress import steps
from local.cli.stack_option import embedded
from local.cli.status import embedded_facts, facts_table
from local.stack.reviewers import one_time_password

REVIEWER = "reviewer@example.com"

console = Console(highlight=False, soft_wrap=True)


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
    with steps(console) as report:
        stack = cloud.up(report, review_page=review)
    console.print(facts_table(embedded_facts(cloud.status())))
    console.print("Drop bins with [bold]bincheck drop samples[/], see alerts with [bold]bincheck watch[/].")
    if review:
        password = one_time_password(stack, REVIEWER)
        console.print(f"Review at [bold]{stack.outputs['ReviewUrl']}[/] as {REVIEWER}, one-time password {password}")
