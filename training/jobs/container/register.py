"""Entry of the pipeline's step that registers: adds the judged model to its group, approved, and leaves its ARN."""

import argparse
import json

from training.jobs.aws import objects
from training.jobs.container.release import FOLDER, REPORT, release
from training.jobs.pipeline import registry


def main() -> None:
    """Register the model of the command line with the report that the job was given."""
    parser = argparse.ArgumentParser(description="Register a model that was better than the champion.")
    parser.add_argument("--model", required=True, help="s3:// of its model.tar.gz")
    options = parser.parse_args()
    with release() as context:
        report = registry.read_report(context.account, str(FOLDER / "input" / "report" / REPORT))
        archive = registry.read_archive(options.model, objects.get(context.account, options.model))
        registry.require_same_model(archive, report)
        package = registry.register(context.account, context.settings, archive, report)
        registry.set_approval(context.account, package, approved=True, reason="better than the champion, in a pipeline")
        (FOLDER / "output" / "package.json").write_text(json.dumps({"package": package}))


if __name__ == "__main__":
    main()
