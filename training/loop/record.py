"""What a run was made of, so that it can be repeated: commit, data, seed, device and precision."""

from typing import Any

import torch

from .commit import git_commit
from .setup import Training


def run_record(training: Training, identity: str) -> dict[str, Any]:
    """What options.json says beside the options, by the keys of config.RECORDED."""
    device = training.processes.device
    return {
        "run": identity,
        "processes": training.processes.world,
        "commit": git_commit(),
        "digests": training.digests,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "computed_in": training.precision.name,
    }
