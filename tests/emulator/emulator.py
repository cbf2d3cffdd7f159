"""Amazon's Lambda Runtime Interface Emulator around one built function, on a clean interpreter.

The interpreter has what Lambda's runtime has and nothing else, so what else the function imports is what was built.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from local.embedded import sam

RUNTIME = ["awslambdaric==4.2.2", "boto3==1.40.4"]
"""Lambda's runtimes bring the SDK. They update it, and none that the template allows has an older one."""
EMULATOR = "samcli/local/rapid/aws-lambda-rie-x86_64"


@cache
def emulator_binary() -> Path:
    """The emulator that ships inside the AWS SAM command line."""
    *tool, _ = sam.command([])
    found = "import pathlib, samcli; print(pathlib.Path(samcli.__file__).parent.parent)"
    site = subprocess.run([*tool, "python", "-c", found], capture_output=True, text=True, check=True, timeout=120)
    return Path(site.stdout.strip()) / EMULATOR


def clean_interpreter(folder: Path) -> Path:
    """A Python of our version that has what Lambda's runtime has and nothing else."""
    uv = sam.command([])[0]
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=60)
    python = folder / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *RUNTIME], check=True, timeout=120)
    return python


class Function:
    """A running function."""

    def __init__(self, url: str) -> None:
        self._url = url

    def invoke(self, event: Any, timeout_s: float = 60) -> Any:
        """The function's answer; `{"errorType", "errorMessage", …}` where it raised."""
        request = urllib.request.Request(self._url, data=json.dumps(event).encode())
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)


@contextmanager
def running(python: Path, built: Path, handler: str, environment: Mapping[str, str], log: Path) -> Iterator[Function]:
    """Serve the handler of a built function until the block ends."""
    port, runtime_port = _free_port(), _free_port()
    command = [
        str(emulator_binary()),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{runtime_port}"),
        *(str(python), "-m", "awslambdaric", handler),
    ]
    clean = {"PATH": os.defpath, "LAMBDA_TASK_ROOT": str(built), "AWS_LAMBDA_FUNCTION_TIMEOUT": "60"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=built, env={**clean, **environment}, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _await_port(port, process, log)
        yield Function(f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations")
    finally:
        process.terminate()
        process.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _await_port(port: int, process: subprocess.Popen[bytes], log: Path, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"the emulator did not start: {log.read_text()[-2000:]}")
