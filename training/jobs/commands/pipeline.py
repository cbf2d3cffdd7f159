"""Commands of the pipeline."""

from typing import Annotated

import typer

from ..costs import estimate
from ..job import Dry, Job, NoWait, SettingsFile, job
from ..source import staged_source

app = typer.Typer(no_args_is_help=True, help="Prepare, train, judge and, if it is better, deploy: on a schedule.")


@app.command()
def upsert(settings: SettingsFile = None, dry_run: Dry = False) -> None:
    """Make the pipeline, or bring it up to date; does nothing when neither code nor settings changed.

    [dim]$[/] python -m training.jobs pipeline upsert --settings bincheck.toml --dry-run
    """
    from .. import pipeline

    with job(settings, dry=dry_run) as our, staged_source() as source:
        changed = pipeline.upsert(our.account, our.settings, source)
        told = "is up to date now" if changed else "was up to date already"
        if not dry_run:
            our.console.print(f"Pipeline {our.settings.pipeline.name} {told}.", highlight=False)


@app.command()
def start(
    settings: SettingsFile = None,
    source: Annotated[str | None, typer.Option(metavar="S3", help="Other bins than prepare.source.")] = None,
    margin: Annotated[float | None, typer.Option(help="Another margin than pipeline.margin.")] = None,
    dry_run: Dry = False,
    no_wait: NoWait = False,
) -> None:
    """Run the pipeline as it was last brought up to date; prints what was compared, and says what came of it.

    [dim]$[/] python -m training.jobs pipeline start --settings bincheck.toml
    """
    from .. import pipeline

    with job(settings, dry=dry_run) as our:
        given = {pipeline.SOURCE: source, pipeline.MARGIN: margin}
        parameters = {name: str(value) for name, value in given.items() if value is not None}
        _costs(our)
        execution = pipeline.start(our.account, our.settings.pipeline.name, parameters)
        if not dry_run:
            our.console.print(f"{execution} has started.", highlight=False, soft_wrap=True)
            if not no_wait:
                _tell(our, execution)


@app.command()
def follow(
    execution: Annotated[str, typer.Argument(help="ARN of an execution, started by whom- or whatever.")],
    settings: SettingsFile = None,
) -> None:
    """Wait for an execution that is under way; prints what was compared, and says what came of it."""
    with job(settings, dry=False) as our:
        _tell(our, execution)


def _tell(our: Job, execution: str) -> None:
    from .. import pipeline

    ended = pipeline.follow(our.account, execution, our.console)
    endpoint = our.settings.deploy.endpoint
    what = f"serves {ended.candidate}" if ended.deployed else f"was left as it is: {ended.candidate} is not better"
    our.console.print(f"{endpoint} {what}.", highlight=False, soft_wrap=True)
    print(ended.comparison)


def _costs(our: Job) -> None:
    prepare, train, judge = our.settings.prepare, our.settings.train, our.settings.evaluate
    trials = our.settings.tune.jobs if our.settings.pipeline.tune else 1
    our.costs(estimate(prepare.instance_type, prepare.instances, prepare.max_hours))
    our.costs(estimate(train.instance_type, train.instances * trials, train.max_hours, spot=train.spot))
    our.costs(estimate(judge.transform_instance_type, judge.transform_instances, judge.max_hours))
