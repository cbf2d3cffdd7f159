"""AWS's Ray Serve container without Docker: model.tar.gz unpacked as /opt/ml/model in a clean environment, Ray itself
before it, and the adapter that answers SageMaker's calls.

What it does is read off the container's own entrypoint (aws/deep-learning-containers, scripts/ray).
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from training.jobs.steps.archives import unpack

SCRIPT = Path(__file__).with_name("ray_container.sh")
IN_NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
PYTHON = "3.13"
RAY_VERSIONS = ("2.55.1", "2.59.0")
"""Of the containers v1.1.0 and v1.5.0."""
PIP = "26.2.1"
"""Of the container v1.4.0."""
START_TIMEOUT_S = 300


def reason_to_skip() -> str:
    """Why the container cannot be stood in for here; empty where it can."""
    if not os.environ.get("BINCHECK_CONTAINERS"):
        return "it installs Ray and takes minutes: make test-containers"
    if shutil.which("uv") is None or shutil.which("unshare") is None:
        return "uv or unshare is missing (unshare is Linux only)"
    if Path(sys.base_prefix).is_relative_to("/opt"):
        return "Python lies in /opt, which the container's own would hide"
    tried = subprocess.run([*IN_NAMESPACES, "mount", "--bind", "/tmp", "/opt"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"namespaces are not permitted here: {tried.stderr.strip()}"


@contextmanager
def ray_container(archive: Path, ray_version: str, folder: Path) -> Iterator[str]:
    """The container's URL, once it answers; it serves a model.tar.gz and keeps its files in `folder`."""
    model = folder / "opt" / "ml" / "model"
    model.mkdir(parents=True)
    with tarfile.open(archive) as tar:
        unpack(tar, model)
    environment = folder / "environment"
    made = subprocess.run(["uv", "venv", "--quiet", "--python", PYTHON, str(environment)], check=False)
    assert made.returncode == 0, f"Python {PYTHON}, the container's, is missing: install it and put it on PATH"
    install = ("--python", str(environment / "bin" / "python"), f"ray[serve]=={ray_version}", f"pip=={PIP}")
    subprocess.run(["uv", "pip", "install", "--quiet", *install], check=True)
    ports, log = (free_port(), free_port()), folder / "container.log"
    with tempfile.TemporaryDirectory(prefix="ray-") as sockets, log.open("wb") as output:  # paths of sockets are short
        started = subprocess.Popen(
            [*IN_NAMESPACES, "sh", str(SCRIPT), str(folder / "opt"), sockets, *map(str, ports)],
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(environment, folder),
        )
        try:
            with adapter(f"http://127.0.0.1:{ports[0]}") as url:
                _wait(url, started, log)
                yield url
        finally:
            os.killpg(started.pid, signal.SIGKILL)  # with unshare all of its namespace go
            started.wait()


def _environment(environment: Path, home: Path) -> dict[str, str]:
    """Nothing of the tests' own Python, and a home without another Ray's token."""
    return {
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(environment),
        "HOME": str(home),
        "UV_CACHE_DIR": subprocess.run(
            ["uv", "cache", "dir"], capture_output=True, text=True, check=True
        ).stdout.strip(),
        "RAY_USAGE_STATS_ENABLED": "0",
        **{name: value for name, value in os.environ.items() if name.startswith(("UV_", "OMP_", "COUNTER_", "SSL_"))},
    }


def _wait(url: str, started: subprocess.Popen[bytes], log: Path) -> None:
    """Until the application answers: /ping does before it."""
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and started.poll() is None:
        answer = httpx.post(f"{url}/invocations", content=b"", headers={"Content-Type": "image/jpeg"}, timeout=60)
        if answer.headers.get("content-type") == "application/json" and answer.status_code == 400:
            return
        time.sleep(1)
    raise AssertionError(f"Ray Serve does not answer:\n{log.read_text(errors='replace')[-5000:]}")


@contextmanager
def adapter(serve_url: str) -> Iterator[str]:
    """The container's adapter: health by Ray Serve's own, calls to its root route with two headers kept."""

    async def ping(_: Request) -> Response:
        async with httpx.AsyncClient() as client:
            try:
                healthy = (await client.get(f"{serve_url}/-/healthz")).status_code == 200
            except httpx.HTTPError:
                healthy = False
        return Response(status_code=200 if healthy else 503)

    async def invocations(request: Request) -> Response:
        kept = {name: request.headers.get(name, "application/json") for name in ("Content-Type", "Accept")}
        async with httpx.AsyncClient(timeout=300) as client:
            try:
                answer = await client.post(f"{serve_url}/", content=await request.body(), headers=kept)
            except httpx.ConnectError:
                return Response(status_code=503)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    routes = [Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])]
    with serving(Starlette(routes=routes)) as url:
        yield url


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """An application's URL, under uvicorn in a thread."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
