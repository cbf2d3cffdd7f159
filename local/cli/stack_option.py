"""The option `--stack`: the embedded cloud, or a stack that is deployed in AWS."""

import os
from pathlib import Path
from typing import Annotated

import typer

from local.embedded import sam
from local.embedded.cloud import FOLDER, EmbeddedCloud, NotRunning
from local.errors import NotAvailable
from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack, find_stack


class OutsideCheckout(NotAvailable):
    """There is no template to deploy."""


StackName = Annotated[
    str | None,
    typer.Option(
        "--stack",
        metavar="NAME",
        help="A stack deployed in AWS, reached by your usual AWS_PROFILE and AWS_DEFAULT_REGION. "
        "Without it: the embedded cloud.",
        rich_help_panel="Where",
    ),
]


def embedded() -> EmbeddedCloud:
    """The embedded cloud of this checkout, or of the folder that BINCHECK_FOLDER names.

    Raises:
        OutsideCheckout: bincheck is installed without the checkout that it deploys.
    """
    if not (sam.ROOT / "template.yaml").is_file():
        raise OutsideCheckout(
            "the embedded cloud deploys a checkout of bincheck, and this command is installed without one: "
            "run `uv run bincheck` in the checkout, or name a stack in AWS with --stack"
        )
    return EmbeddedCloud(Path(os.environ.get("BINCHECK_FOLDER") or FOLDER))


def resolve_stack(stack: str | None) -> Stack:
    """The stack with this name in AWS, or the one in the embedded cloud.

    Raises:
        NotDeployed: AWS has no such stack.
        NotRunning: the embedded cloud does not run.
    """
    if stack is not None:
        return find_stack(Cloud.aws(), stack)
    try:
        return embedded().stack()
    except NotRunning as error:
        raise NotRunning(f"{error}, or name a stack in AWS with --stack") from error
