"""Entry of the pipeline's step that deploys: the endpoint serves a model package from then on, or is rolled back."""

import argparse

from training.jobs.container.release import release
from training.jobs.endpoint import deployment


def main() -> None:
    """Deploy the model package of the command line."""
    parser = argparse.ArgumentParser(description="Deploy a model package.")
    parser.add_argument("--package", required=True, help="its ARN")
    options = parser.parse_args()
    with release() as context:
        deployment.deploy(context, deployment.package_container(context.account, options.package))


if __name__ == "__main__":
    main()
