"""A server process of this checkout that outlives the command that started it.

At most one runs per folder and name: it holds a lock on its record while it lives. The kernel releases the lock however
the process ends, so a record without a lock is stale, whatever process has its pid now.
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
"""A process that checks whether a service runs holds the lock for a moment."""


class ServiceFailed(CommandFailed):
    """A server process did not come up; the message names its log."""


@dataclass(frozen=True)
class Running:
    """A live server process."""

    pid: int
    port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


class Service:
    """A server process by its folder and name. `ready_path` answers 200 once it serves."""

    def __init__(self, folder: Path, name: str, ready_path: str) -> None:
        self.name = name
        self.log = folder / "logs" / f"{name}.log"
        self._record = folder / f"{name}.json"
        self._ready_path = ready_path

    def running(self) -> Running | None:
        """The live process, ready or not; None when there is none."""
        try:
            with self._record.open() as record:
                fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return None
        except BlockingIOError:
            return _read(self._record)
        return None

    def was_killed(self) -> bool:
        """Whether the last process ended without a request to stop."""
        return self.running() is None and self._record.exists() and self._record.stat().st_size > 0

    def start(
        self,
        command: Callable[[int], Sequence[str]],
        environment: Callable[[int], Mapping[str, str]],
        port: int | None,
        timeout_s: float = 60.0,
    ) -> Running:
        """Start the process and wait until it serves. `command` gets the file descriptor of the listening socket,
        `environment` the port of that socket. `port` is used where it is free.

        Raises:
            ServiceFailed: it ended or was not ready in time.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_name(f"{self.name}.previous.log"))
        with _listen(port) as listener, self.log.open("ab") as log:
            chosen = listener.getsockname()[1]
            process = subprocess.Popen(  # noqa: S603  (our own command)
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
        """Whether it runs and says that it is ready."""
        running = self.running()
        return running is not None and answers(f"{running.url}{self._ready_path}")

    def stop(self, timeout_s: float = 60.0) -> bool:
        """Terminate the process and wait; kill it after the timeout. False when there was none."""
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
            os.killpg(running.pid, signal.SIGKILL)  # what it has started and left, e.g. functions at work
        return True


@contextmanager
def hold_record(folder: Path, name: str, listener: int) -> Iterator[None]:
    """Hold the record of the service of that name; the server process calls this. A block that ends without an
    exception leaves an empty record, which means that the process was not killed.

    Raises:
        SystemExit: another process holds it already.
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
    """Whether a GET of this address comes back with 200."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def last_line(log: Path) -> str:
    """The last line of a log that is not blank; empty when there is none."""
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
        except (ValueError, TypeError):  # it holds the lock and is about to write
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
