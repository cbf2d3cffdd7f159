"""The command line of the jobs: `python -m training.jobs --help`."""

import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from inventory.alert_text import visible
from training.jobs.commands import costs, data, deployment, evaluation, pipeline, registry, training, tuning
from training.jobs.errors import JobError, explain_aws_error

FAILED = 1

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 failed (the message says why), 2 wrong use.",
)


@app.callback()
def jobs() -> None:
    """Prepare, train, tune, evaluate, register and deploy the counter in SageMaker."""


for command, panel in (
    (data.prepare, "Make a model"),
    (training.train, "Make a model"),
    (training.profile, "Make a model"),
    (tuning.tune, "Make a model"),
    (tuning.best, "Make a model"),
    (tuning.explore, "Make a model"),
    (evaluation.evaluate, "Judge and register a model"),
    (registry.register, "Judge and register a model"),
    (registry.approve, "Judge and register a model"),
    (deployment.package, "Put it to work"),
    (deployment.deploy, "Put it to work"),
    (deployment.rollback, "Put it to work"),
    (deployment.delete, "Put it to work"),
    (costs.costs, "Before you start"),
):
    app.command(rich_help_panel=panel)(command)
app.add_typer(pipeline.app, name="pipeline", rich_help_panel="Put it to work")


def main() -> None:
    """Run the command line; errors that a user can fix end in one message and exit code 1."""
    try:
        app()
    except JobError as error:
        _fail(str(error))
    except (BotoCoreError, ClientError) as error:
        _fail(explain_aws_error(error))


def _fail(message: str) -> None:
    """Print a message of several lines, which may quote the log of a job and so text of others."""
    lines = "\n".join(map(visible, message.split("\n")))
    Console(stderr=True).print(Text.assemble(("training.jobs:", "red"), f" {lines}"), soft_wrap=True)
    sys.exit(FAILED)
