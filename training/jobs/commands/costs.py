"""The command `costs`."""

from typing import Annotated

import typer

from costs.check_costs import Load, format_costs
from costs.job_costs import format_public_set
from costs.prices import prices
from costs.review_costs import format_review_costs
from training.jobs import settings as settings_file
from training.jobs.errors import JobError

REVIEWERS = 4


def costs(
    checks: Annotated[int, typer.Option(min=1, help="Checks a day.")] = 100_000,
    mismatches: Annotated[float, typer.Option(min=0, max=1, help="Share of checks that alert.")] = 0.5,
    emailed: Annotated[float, typer.Option(min=0, max=1, help="Share of checks that reach an email address.")] = 0.01,
    instance_type: Annotated[str, typer.Option(help="Instance type of the endpoint.")] = "ml.c6i.xlarge",
    instances: Annotated[int, typer.Option(min=1, help="Instances of the endpoint.")] = 2,
) -> None:
    """Print what checks cost in AWS, by the prices in prices.toml and the quantities in quantities.toml.

    [dim]$[/] python -m training.jobs costs --checks 20000 --instances 1
    """
    from training.jobs.steps import processing_job, training_job

    if instance_type not in prices()["hourly"]:
        raise JobError(f"the price of {instance_type} is not known: add it to costs/prices.toml")
    print(format_costs(Load(checks, mismatches, emailed, instance_type, instances)))
    whole = settings_file.load(recipe="full")
    steps = {"Prepare": processing_job.cost(whole.prepare), "Train": training_job.cost(whole.train)}
    print(f"\n{format_public_set(steps, whole.prepare.instances)}")
    print(f"\n{format_review_costs(REVIEWERS)}")
