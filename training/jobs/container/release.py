"""Entry of the pipeline's steps that register and deploy: `register --model S3` or `deploy --package ARN`.

The settings are a file beside the code. Errors that a user can fix end in one message.
"""

import argparse
import json
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from training.jobs.aws import objects
from training.jobs.context import JobContext, job_context
from training.jobs.endpoint import deployment
from training.jobs.errors import JobError, explain_aws_error
from training.jobs.pipeline import registry

FOLDER = Path("/opt/ml/processing")
REPORT = "evaluation.json"
SETTINGS = Path("settings.toml")


def register(context: JobContext, model: str) -> None:
    """Add the model to its group, approved, with the report of the judging step; leaves its ARN in package.json."""
    report = registry.read_report(context.account, str(FOLDER / "input" / "report" / REPORT))
    archive = registry.read_archive(model, objects.get(context.account, model))
    registry.require_same_model(archive, report)
    package = registry.register(context.account, context.settings, archive, report)
    registry.set_approval(context.account, package, approved=True, reason="better than the champion, in a pipeline")
    (FOLDER / "output" / "package.json").write_text(json.dumps({"package": package}))


def deploy(context: JobContext, package: str) -> None:
    """Serve the model package on the endpoint; an update that fails is rolled back."""
    deployment.deploy(context, deployment.package_container(context.account, package))


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Register or deploy a model that is better than the champion.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("register").add_argument("--model", required=True, help="s3:// of its model.tar.gz")
    commands.add_parser("deploy").add_argument("--package", required=True, help="ARN of its model package")
    options = parser.parse_args()
    try:
        with job_context(SETTINGS, dry=False) as context:
            if options.command == "register":
                register(context, options.model)
            else:
                deploy(context, options.package)
    except JobError as error:
        raise SystemExit(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(explain_aws_error(error)) from error


if __name__ == "__main__":
    main()
