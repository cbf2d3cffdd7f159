"""`bincheck export-labels`: writes training labels from reviews."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from inventory.reports.audit import review_weights
from inventory.reports.findings import reviewed_by_id
from local.cli.exits import fail
from local.cli.since_option import Since
from local.cli.stack_option import StackName, resolve_stack
from local.cli.terminal import out
from local.stack.reviews import export
from local.stack.tallied import checks_by_band


def export_labels(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder to write; it is created if missing.")],
    stack: StackName = None,
    since: Since = "52w",  # type: ignore[assignment]
) -> None:
    """Make training labels of what people found: images, records that say what was there, and index.csv.

    The folder is in the inbox layout, so [bold]python -m training.prepare --source FOLDER[/] takes it as it is.
    In index.csv [bold]drawn[/] is "audit" for a random sample of all checks, and "alert" for suspicious ones.
    [bold]weight[/] is how many checks a label stands for, for [bold]python -m training.calibrate --labels FOLDER[/].
    Images that were replaced since the review are skipped. Where LabelsBucket is set, upload index.csv last.

    [dim]$[/] bincheck export-labels reviewed --since 26w
    [dim]$[/] bincheck export-labels reviewed --stack bincheck
    """
    deployed = resolve_stack(stack)
    now = datetime.now(UTC)
    reviewed = list(deployed.checks.list_open("reviewed", since, now))
    first = min((check.checked_at for check in reviewed), default=now.isoformat())
    sample = reviewed_by_id(deployed.checks, since, now)
    bands = checks_by_band(deployed, datetime.fromisoformat(first).date())
    weights = dict(zip(sample, review_weights(list(sample.values()), bands), strict=True))
    exported = 0
    for each in export(reviewed, deployed.cloud.s3(), folder, sample, weights):
        exported += each.outcome == "exported"
        if each.reason:
            out.say("{bin} skipped: {reason}", bin=each.bin, reason=each.reason)
    if not exported:
        fail("No reviewed image since {since:%Y-%m-%d}: store findings with `bincheck resolve`.", since=since)
    out.say(
        "{exported} labelled bins in {to}: docs/flywheel.md says what they are worth.", exported=exported, to=folder
    )
