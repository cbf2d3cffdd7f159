"""Times a training step (forward and backward) on a CPU: as torch has it, and with each step of training.loop.cpu.

python -m benchmarks.training --backbone tf_efficientnet_lite2
"""

import argparse
import json
import statistics
import time

import torch

from training.loop import cpu
from training.network.counter import Counter


def step(network: Counter, images: torch.Tensor) -> float:
    """Seconds that looking at images (n, 3, size, size) and learning from them takes."""
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        counts, _ = network(network.normalise(images))
    counts.float().logsumexp(1).mean().backward()
    return time.perf_counter() - started


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Time a training step on a CPU.")
    parser.add_argument("--backbone", default="tf_efficientnet_lite2")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    network = Counter(options.backbone, labels=11).to(memory_format=torch.channels_last).train()
    images = torch.rand(options.batch, 3, options.size, options.size)

    def measured() -> float:
        step(network, images)
        return round(statistics.median(step(network, images) for _ in range(options.rounds)), 3)

    seconds = {"as torch has it": measured()}
    cpu.slow_convolutions_in_float32(network)
    seconds["slow convolutions in float32"] = measured()
    cpu.keep_freed_memory()
    seconds["and freed memory kept"] = measured()
    print(json.dumps({"backbone": options.backbone, "seconds_per_step": seconds}, indent=2))


if __name__ == "__main__":
    main()
