"""Entry of the pipeline's step that deploys: the endpoint serves a model package from then on, or is rolled back."""

import argparse

from training.jobs import deployment
from training.jobs.container.release import release


def main() -> None:
    """Deploy the model package of the command line."""
    parser = argparse.ArgumentParser(description="Deploy a model package.")
    parser.add_argument("--package", required=True, help="its ARN")
    options = parser.parse_args()
    with release() as our:
        deployment.deploy(our, deployment.registered(our.account, options.package))


if __name__ == "__main__":
    main()
