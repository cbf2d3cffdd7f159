"""The endpoint in a process and on a core of its own, and clients that load it from another core."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, cycle, islice
from pathlib import Path

import aiohttp
import psutil

from model.predictor import ARTIFACT

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""The cores of this process, where the system tells. The last one serves, the others call."""
HEADERS = {"Content-Type": "image/jpeg"}
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Served:
    """A running endpoint."""

    url: str
    process: psutil.Process

    @property
    def cpu_s(self) -> float:
        """CPU time of the process since it started."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


@dataclass(frozen=True)
class Answer:
    """What came of one request. `at_s` is when it was sent, in seconds from the first."""

    status: int
    at_s: float
    took_s: float


@contextmanager
def endpoint(images_at_once: int, cores: Sequence[int] = CORES[-1:], artifact: Path = ARTIFACT) -> Iterator[Served]:
    """Serve a model by uvicorn until the block ends, the shipped one by default."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = psutil.Popen(
            [sys.executable, "-m", "uvicorn", "model.app:app", "--fd", str(listener.fileno()), "--log-level", "error"],
            env={**os.environ, "COUNTER_CONCURRENCY": str(images_at_once), "COUNTER_ARTIFACT": str(artifact)},
            pass_fds=[listener.fileno()],
        )
        try:
            pin(process, cores)
            address = listener.getsockname()
            _await_answer(address, process)
            yield Served(f"http://127.0.0.1:{address[1]}/invocations", process)
        finally:
            process.terminate()
            process.wait(timeout=30)


def pin(process: psutil.Process, cores: Sequence[int]) -> None:
    """Keep a process to these cores, where the system can; to any, if there are none."""
    if cores and hasattr(process, "cpu_affinity"):
        process.cpu_affinity(list(cores))


def closed_loop(url: str, images: Sequence[bytes], clients: int, requests: int) -> list[Answer]:
    """As many clients, each of which sends its next request when the last one is answered."""

    async def run() -> list[Answer]:
        waiting = islice(cycle(images), requests)
        async with _session() as session:
            started = time.perf_counter()

            async def client() -> list[Answer]:
                return [await _post(session, url, image, started) for image in waiting]

            return [
                answer for answers in await asyncio.gather(*(client() for _ in range(clients))) for answer in answers
            ]

    return asyncio.run(run())


def open_loop(url: str, images: Sequence[bytes], per_second: float, seconds: float) -> list[Answer]:
    """Requests at a steady rate, whether or not earlier ones are answered."""

    async def run() -> list[Answer]:
        async with _session() as session:
            started, tasks = time.perf_counter(), []
            for number, image in zip(count(), cycle(images), strict=False):
                due = number / per_second
                if due >= seconds:
                    return await asyncio.gather(*tasks)
                await asyncio.sleep(due - (time.perf_counter() - started))
                tasks.append(asyncio.create_task(_post(session, url, image, started)))
        raise AssertionError("unreachable: the images do not end")

    return asyncio.run(run())


def quantile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=HEADERS)


async def _post(session: aiohttp.ClientSession, url: str, image: bytes, started: float) -> Answer:
    sent = time.perf_counter()
    async with session.post(url, data=image) as response:
        await response.read()
    return Answer(response.status, sent - started, time.perf_counter() - sent)


def _await_answer(address: tuple[str, int], process: psutil.Popen) -> None:
    """Uvicorn takes the waiting connection when the model is loaded."""
    with socket.create_connection(address, timeout=START_TIMEOUT_S) as client:
        client.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
        if not client.recv(12).endswith(b"200"):
            raise SystemExit(f"the endpoint did not start (exit status {process.poll()})")
