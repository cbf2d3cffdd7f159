"""Entry of processing jobs: prepares a set, every instance its share of the images.

Arguments are options of `training.prepare`; the set goes to /opt/ml/processing/output.
"""

import json
import sys
from pathlib import Path

from training import prepare

RESOURCES = Path("/opt/ml/config/resourceconfig.json")


def share(resources: str) -> str:
    """This instance among all, "2/4", by the resource configuration of SageMaker."""
    config = json.loads(resources)
    hosts = sorted(config["hosts"])
    return f"{hosts.index(config['current_host']) + 1}/{len(hosts)}"


def main() -> None:
    """Prepare with the options that the job was given."""
    prepare.main([*sys.argv[1:], "--shard", share(RESOURCES.read_text())])


if __name__ == "__main__":
    main()
