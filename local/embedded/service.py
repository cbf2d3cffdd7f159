"""A server process of this checkout that outlives the command that started it.

At most one process runs for each folder and name: it holds a lock on its record while it runs. The kernel releases the
lock however the process ends. So a record without a lock is stale, even if another process has its pid now.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local.errors import CommandFailed

LOOPBACK = "127.0.0.1"
LOCK_TIMEOUT_S = 2.0
"""Other processes also hold the lock for a moment, when they check whether the service runs."""


class ServiceFailed(CommandFailed):
    """A server process did not start. The message names its log."""


@dataclass(frozen=True)
class Running:
    """A live server process."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


class Service:
    """A server process with a folder and a name. `ready_path` answers 200 when the server is ready."""

    def __init__(self, folder: Path, name: str, ready_path: str) -> None:
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self._record = folder / f"{name}.json"
        self._ready_path = ready_path

    def running(self) -> Running | None:
        """The running process, ready or not; None if there is none."""
        try:
            with self._record.open() as record:
                fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return _read(self._record)
        return None

    def was_killed(self) -> bool:
        """Whether the last process was killed: a regular stop empties the record."""
        return self.running() is None and self._record.exists() and self._record.stat().st_size > 0

    def start(
        self,
        command: Callable[[int], Sequence[str]],
        environment: Callable[[int], Mapping[str, str]],
        port: int | None,
        timeout_s: float = 60.0,
    ) -> Running:
        """Start the process and wait until it is ready.

        `command` gets the file descriptor of the listening socket, `environment` the port of that socket. `port` is
        used if it is free.

        Raises:
            ServiceFailed: the process ended, or was not ready in time.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_name(f"{self.name}.previous.log"))
        with _listen(port) as listener, self.log.open("ab") as log:
            chosen = listener.getsockname()[1]
            process = subprocess.Popen(  # noqa: S603  (the command is fixed)
                command(listener.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(chosen),
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout_s
        try:
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    raise ServiceFailed(
                        f"the {self.name} ended while starting (exit status {process.returncode}): "
                        f"{last_line(self.log)} See {self.log}"
                    )
                if answers(f"http://{LOOPBACK}:{chosen}{self._ready_path}") and self.running():
                    return Running(process.pid, chosen)
                time.sleep(0.05)
        except BaseException:
            process.kill()
            raise
        process.kill()
        raise ServiceFailed(f"the {self.name} was not ready within {timeout_s:.0f} s. See {self.log}")

    def answers(self) -> bool:
        """Whether the process runs and is ready."""
        running = self.running()
        return running is not None and answers(f"{running.url}{self._ready_path}")

    def stop(self, timeout_s: float = 60.0) -> bool:
        """Terminate the process and wait. Kill it after the timeout. Returns False if there was none."""
        running = self.running()
        if running is None:
            return False
        _signal(running.pid, signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        while self.running():
            if time.monotonic() > deadline:
                _signal(running.pid, signal.SIGKILL)
            time.sleep(0.05)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(running.pid, signal.SIGKILL)  # its child processes, e.g. running functions
        return True


@contextmanager
def hold_record(folder: Path, name: str, listener: int) -> Iterator[None]:
    """Lock the record of the service and write pid and port to it. The server process calls this.

    At the end of the block the record is emptied, which means that the process was not killed.

    Raises:
        SystemExit: another process holds the record already.
    """
    record_path = folder / f"{name}.json"
    with socket.socket(fileno=os.dup(listener)) as listening:
        running = Running(os.getpid(), listening.getsockname()[1])
    with record_path.open("a+") as record:
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"another {name} of {folder} runs already") from error
                time.sleep(0.01)
        record.truncate(0)
        record.write(json.dumps({"pid": running.pid, "port": running.port}))
        record.flush()
        yield
        record.truncate(0)


def answers(url: str, timeout_s: float = 2.0) -> bool:
    """Whether a GET request to this address returns 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def last_line(log: Path) -> str:
    """The last non-blank line of a log; empty if there is none."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _read(record: Path) -> Running | None:
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            return Running(**json.loads(record.read_text()))
        except (ValueError, TypeError):  # the process holds the lock and has not written the record yet
            time.sleep(0.01)
    return None


def _listen(port: int | None) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port or 0), backlog=512)
    except OSError:
        return socket.create_server((LOOPBACK, 0), backlog=512)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
