"""Where a set's pixels are held while a network trains, so that each image is decoded once."""

import os
from pathlib import Path
from typing import Literal

import torch

Cache = Literal["auto", "none", "memory", "device"]
CACHES: tuple[Cache, ...] = ("auto", "none", "memory", "device")
DEVICE_SHARE = 0.25
"""Of the device's free memory: the most that one set takes there by itself."""
MEMORY_SHARE = 1 / 3
"""Of the machine's memory, shared by the processes on it: the most that one set takes there by itself."""
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def choose_cache(wanted: Cache, size_bytes: int, device: torch.device) -> Cache:
    """Where to hold `size_bytes`: as wanted; with "auto" on the device, in memory or nowhere, the first that fits."""
    if wanted == "device" and device.type == "cpu":
        return "memory"
    if wanted != "auto":
        return wanted
    if device.type == "cuda" and size_bytes <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
        return "device"
    return "memory" if size_bytes <= MEMORY_SHARE * machine_memory() / local_processes() else "none"


def machine_memory() -> int:
    """Bytes of memory that this machine or container has."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _CGROUP_LIMIT.read_text().strip() if _CGROUP_LIMIT.is_file() else "max"
    return total if limit == "max" else min(total, int(limit))


def local_processes() -> int:
    """How many training processes torchrun started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def cores() -> int:
    """CPU cores for each training process on this machine; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, allowed // local_processes())
