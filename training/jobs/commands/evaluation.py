"""The command `evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from training.jobs.commands.options import Dry, ModelLocation, SettingsFile
from training.jobs.context import job_context
from training.jobs.steps.source import staged_source


def evaluate(
    model: ModelLocation,
    out: Annotated[Path | None, typer.Option(help="Folder to download report and page to.")] = None,
    settings: SettingsFile = None,
    dry_run: Dry = False,
) -> None:
    """Evaluate a model by the serving container's answers in a batch transform; prints the report's s3:// URI.

    [dim]$[/] python -m training.jobs evaluate --model s3://bucket/job/output/model.tar.gz --out runs/judged
    """
    from sagemaker.core.common_utils import name_from_base

    from training.jobs.aws import objects
    from training.jobs.endpoint import deployment
    from training.jobs.errors import cleanup_hints
    from training.jobs.steps import evaluation_job, waiting

    with job_context(settings, dry=dry_run) as context, staged_source() as source, cleanup_hints() as hints:
        chosen, account, name = context.settings.evaluate, context.account, name_from_base(evaluation_job.BASE_NAME)
        place, report = evaluation_job.set_uri(context.settings), account.uri("evaluated", name)
        evaluation_job.require_files(account, place)
        uri = deployment.archive_uri(account, model, chosen.transform_instance_type)
        for step, cost in evaluation_job.costs(chosen).items():
            context.print_costs(cost, step)
        container = deployment.archive_container(account, chosen.transform_instance_type, uri)
        account.client("sagemaker").create_model(ModelName=name, **deployment.model_request(account, container))
        hints.append(f"aws sagemaker delete-model --model-name {name}")
        transformer = evaluation_job.transformer(account, chosen, name, f"{report}/answers")
        transformer.transform(
            f"{place}/{chosen.split}/",
            content_type=evaluation_job.CONTENT_TYPE,
            job_name=name,
            wait=False,
            logs=False,
        )
        context.print_started(f"Transform job {name}")
        if not dry_run:
            waiting.wait(account, waiting.TRANSFORM, name, context.console)
        evaluation_job.judge(account, chosen).run(
            code=evaluation_job.CODE,
            source_dir=str(source),
            inputs=evaluation_job.inputs(account, place, chosen.split, f"{report}/answers"),
            outputs=evaluation_job.outputs(report),
            arguments=["--split", chosen.split],
            job_name=name,
            wait=False,
            logs=False,
        )
        context.print_started(f"Processing job {name}")
        if not dry_run:
            waiting.wait(account, waiting.PROCESSING, name, context.console)
        account.client("sagemaker").delete_model(ModelName=name)
        if out and not dry_run:
            out.mkdir(parents=True, exist_ok=True)
            for file in (evaluation_job.REPORT, evaluation_job.PAGE):
                (out / file).write_bytes(objects.get(account, f"{report}/{file}"))
        if not dry_run:
            print(f"{report}/{evaluation_job.REPORT}")
