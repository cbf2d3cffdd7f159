"""Commands of the pipeline."""

from typing import Annotated

import typer

from costs.job_costs import estimate, total
from training.jobs.commands.options import Dry, NoWait, SettingsFile
from training.jobs.context import JobContext, job_context
from training.jobs.steps.source import staged_source

app = typer.Typer(
    no_args_is_help=True, help="Prepare, train and evaluate, and deploy if the model is better: on a schedule."
)


@app.command()
def upsert(settings: SettingsFile = None, dry_run: Dry = False) -> None:
    """Create or update the pipeline; does nothing if neither code nor settings changed.

    [dim]$[/] python -m training.jobs pipeline upsert --settings bincheck.toml --dry-run
    """
    from training.jobs.pipeline import definition

    with job_context(settings, dry=dry_run) as context, staged_source(for_serving=not dry_run) as source:
        changed = definition.upsert(context.account, context.settings, source)
        state = "is up to date now" if changed else "was up to date already"
        if not dry_run:
            context.console.print(f"Pipeline {context.settings.pipeline.name} {state}.", highlight=False)


@app.command()
def start(
    settings: SettingsFile = None,
    source: Annotated[str | None, typer.Option(metavar="S3", help="Bins, in place of prepare.source.")] = None,
    margin: Annotated[float | None, typer.Option(help="Margin, in place of pipeline.margin.")] = None,
    dry_run: Dry = False,
    no_wait: NoWait = False,
) -> None:
    """Run the pipeline as of its last update; prints comparison.json and says whether the endpoint changed.

    [dim]$[/] python -m training.jobs pipeline start --settings bincheck.toml
    """
    from training.jobs.pipeline import definition, executions

    with job_context(settings, dry=dry_run) as context:
        overrides = {definition.SOURCE: source, definition.MARGIN: margin}
        parameters = {name: str(value) for name, value in overrides.items() if value is not None}
        _print_costs(context)
        execution = executions.start(context.account, context.settings.pipeline.name, parameters)
        context.print_started(execution)
        if not (dry_run or no_wait):
            _follow_to_the_end(context, execution)


@app.command()
def follow(
    execution: Annotated[str, typer.Argument(help="ARN of an execution.")],
    settings: SettingsFile = None,
) -> None:
    """Wait for an execution that is running; prints comparison.json and says whether the endpoint changed."""
    with job_context(settings, dry=False) as context:
        _follow_to_the_end(context, execution)


def _follow_to_the_end(context: JobContext, execution: str) -> None:
    from training.jobs.pipeline import executions

    result = executions.follow(context.account, execution, context.console)
    endpoint = context.settings.deploy.endpoint
    outcome = f"serves {result.candidate}" if result.deployed else f"is unchanged: {result.candidate} is not better"
    context.console.print(f"{endpoint} {outcome}.", highlight=False, soft_wrap=True)
    print(result.comparison)


def _print_costs(context: JobContext) -> None:
    from training.jobs.steps import evaluation_job, training_job

    settings = context.settings
    prepare, release = settings.prepare, settings.pipeline
    steps = {
        "Prepare": estimate(prepare.instance_type, prepare.instances, prepare.max_hours),
        "Tune" if release.tune else "Train": training_job.cost(
            settings.train, settings.tune.jobs if release.tune else 1
        ),
        **evaluation_job.costs(settings.evaluate),
        "Register": estimate(release.instance_type, 1, release.max_hours),
        "Deploy": estimate(release.instance_type, 1, release.max_hours),
    }
    for step, cost in steps.items():
        context.print_costs(cost, step)
    context.print_costs(total(list(steps.values())))
