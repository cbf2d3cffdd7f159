"""`bincheck up`: starts the embedded cloud."""

from rich.console import Console

from local.cli.progress import steps
from local.cli.stack_option import embedded
from local.cli.status import embedded_facts, facts_table

console = Console(highlight=False, soft_wrap=True)


def up() -> None:
    """Start the embedded cloud and the endpoint, and deploy template.yaml to it.

    Running parts keep running, but the endpoint restarts if the model has changed. Bins and checks of earlier runs are
    available again. The template is deployed only if it, the functions or their parameters have changed.

    [dim]$[/] bincheck up
    [dim]$[/] bincheck drop samples
    [dim]$[/] bincheck mismatches
    """
    cloud = embedded()
    with steps(console) as report:
        cloud.up(report)
    console.print(facts_table(embedded_facts(cloud.status())))
    console.print("Drop bins with [bold]bincheck drop samples[/], see alerts with [bold]bincheck watch[/].")
