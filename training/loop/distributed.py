"""The processes of one training: alone, or as many as torchrun started."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from timm.layers import convert_sync_batchnorm
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process's `rank` among `world` processes, and the device that is its own."""

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes files and lines."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with gradients averaged over all processes, and batch statistics too where CUDA can."""
        if self.world == 1:
            return network
        if self.device.type == "cuda":
            network = synchronise_statistics(network)
            return DistributedDataParallel(network, device_ids=[self.device.index], find_unused_parameters=True)
        return DistributedDataParallel(network, find_unused_parameters=True)

    def lead(self, read: Callable[[], T]) -> T:
        """What the process that leads reads, for all of them; an exception that it raises is raised by all."""
        if self.world == 1:
            return read()
        answer: list[Any] = [None, None]
        if self.leads:
            try:
                answer[0] = read()
            except Exception as error:
                answer[1] = error
        distributed.broadcast_object_list(answer, 0, device=self.device)
        if answer[1] is not None:
            raise answer[1]
        value: T = answer[0]
        return value

    def mean(self, value: float) -> float:
        """The mean of a figure over all processes. All processes call it."""
        if self.world == 1:
            return value
        total = torch.tensor(value, device=self.device)
        distributed.all_reduce(total)
        return float(total) / self.world

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, by rank. All processes call it."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        distributed.all_gather_object(values, value)
        return values


def synchronise_statistics(network: nn.Module) -> nn.Module:
    """The network with statistics of batch normalisation over all processes; its outputs stay.

    torch's own conversion drops the activation of timm's BatchNormAct2d.
    """
    converted: nn.Module = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return converted


@contextmanager
def processes() -> Iterator[Processes]:
    """Join the processes that torchrun started, if there are any, and leave them at the end."""
    world, local_rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local_rank) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world == 1:
        yield Processes(0, 1, device)
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(distributed.get_rank(), world, device)
    finally:
        distributed.destroy_process_group()
