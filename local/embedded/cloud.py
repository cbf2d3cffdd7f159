"""The embedded cloud: ministack and the endpoint server as background processes, with the real template deployed.

One folder, by default `.bincheck/` of the checkout, holds everything: state, objects, ports and logs. So two checkouts,
or two users, share nothing.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.embedded import sam
from local.embedded.service import Running, Service
from local.errors import NotAvailable
from local.stack.aws import EMBEDDED_KEY, EMBEDDED_REGION, Cloud
from local.stack.deployed_stack import NotDeployed, Stack, find_stack, was_created
from local.stack.dropping import upload_again

FOLDER = sam.ROOT / ".bincheck"
STACK = "bincheck"
ENDPOINT = "bincheck-counter"
ARTIFACT = "COUNTER_ARTIFACT"
"""The variable that names another artifact's folder (`model.app`)."""
MAXIMUM_CONCURRENCY = 10
Report = Callable[[str], None]


class NotRunning(NotAvailable):
    """The embedded cloud does not run. The message says how to start it."""


@dataclass(frozen=True)
class Status:
    """The running parts of an embedded cloud. The address of a part that does not run is None."""

    folder: Path
    cloud_url: str | None
    endpoint_url: str | None
    stack: Stack | None

    @property
    def running(self) -> bool:
        return bool(self.cloud_url and self.endpoint_url and self.stack)


class EmbeddedCloud:
    """The embedded cloud of a folder.

    `sagemaker_runtime_url` names an endpoint server that replaces the project's own, e.g. one with faults.
    `parameters` override the template's.
    """

    def __init__(
        self,
        folder: Path = FOLDER,
        sagemaker_runtime_url: str | None = None,
        parameters: dict[str, str] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self._external_endpoint_url = sagemaker_runtime_url
        self._cloud = Service(self.folder, "cloud", "/_ministack/ready")
        self._endpoint = Service(self.folder, "endpoint", "/ping")
        self._parameters = {
            "Runtime": sam.runtime(),
            "EndpointName": ENDPOINT,
            "MaximumConcurrency": str(max(2, min(os.cpu_count() or 2, MAXIMUM_CONCURRENCY))),
            **(parameters or {}),
        }

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def up(self, report: Report = lambda _: None, *, review_page: bool | None = None) -> Stack:
        """Start what does not run or serves an older model, deploy the template where it differs from what is
        deployed, and return the stack. `review_page` says whether the stack has one; None leaves that as it was.

        Raises:
            ServiceFailed, SamFailed: a step failed; the message names its log.
        """
        with self._locked():
            if review_page is not None:
                self._update_known(review_page=review_page)
            endpoint_url = self._external_endpoint_url or self._start_endpoint(report).url
            lost_since = self._last_checkpoint() if self._cloud.was_killed() else None
            cloud = Cloud.embedded(self._start_cloud(endpoint_url, report).url)
            if not was_created(cloud, STACK) and self._has_state():
                # An earlier run was killed, or failed, before it had deployed a stack. Its state is incomplete.
                self._cloud.stop()
                self._wipe("state", "objects")
                cloud = Cloud.embedded(self._start_cloud(endpoint_url, report).url)
            stack = self._deploy(cloud, report)
            if lost_since:
                report("Notifying again of uploads before the last run was killed")
                for _ in upload_again(stack, lost_since):
                    pass
            return stack

    def down(self, *, forget: bool = False) -> bool:
        """Stop the processes. `forget` deletes the state too. Returns False if nothing ran."""
        with self._locked():
            stopped = [service.stop() for service in (self._cloud, self._endpoint)]
            if forget:
                self._wipe("state", "objects", "tmp", "logs", "cloud.json", "endpoint.json", "known.json")
        return any(stopped)

    def status(self) -> Status:
        """The running parts. Nothing is started."""
        cloud = self._cloud.running() if self._cloud.answers() else None
        endpoint = self._endpoint.running() if self._endpoint.answers() else None
        stack = None
        if cloud:
            try:
                stack = find_stack(Cloud.embedded(cloud.url), STACK)
            except (NotDeployed, ClientError, BotoCoreError):
                stack = None
        return Status(
            self.folder,
            cloud.url if cloud else None,
            self._external_endpoint_url or (endpoint.url if endpoint else None),
            stack,
        )

    def stack(self) -> Stack:
        """The deployed stack.

        Raises:
            NotRunning: the embedded cloud does not run, or nothing is deployed to it.
        """
        status = self.status()
        if status.stack is None:
            raise NotRunning("the embedded cloud does not run: start it with `bincheck up`")
        return status.stack

    def _start_endpoint(self, report: Report) -> Running:
        running = self._endpoint.running()
        environment = self._endpoint_environment()
        folders = [sam.ROOT / "model", *([Path(environment[ARTIFACT])] if ARTIFACT in environment else [])]
        served = "".join(map(_fingerprint, folders))
        if running and self._endpoint.answers() and self._read_known().get("model") == served:
            return running
        self._endpoint.stop()
        report("Starting the endpoint")
        arguments = [sys.executable, "-m", "local.embedded.sagemaker_runtime", str(self.folder), "--endpoint", ENDPOINT]
        running = self._start(self._endpoint, arguments, lambda _: environment)
        self._update_known(model=served)
        return running

    def _start_cloud(self, endpoint_url: str, report: Report) -> Running:
        running = self._cloud.running()
        if running and self._cloud.answers() and self._read_known().get("cloud_endpoint_url") == endpoint_url:
            return running
        self._cloud.stop()
        self._wipe("tmp")
        report("Starting the embedded cloud")
        arguments = [sys.executable, "-m", "local.embedded.ministack_server", str(self.folder)]
        running = self._start(self._cloud, [*arguments, "--sagemaker-runtime", endpoint_url], self._cloud_environment)
        self._update_known(cloud_endpoint_url=endpoint_url)
        return running

    def _start(self, service: Service, arguments: list[str], environment: Callable[[int], dict[str, str]]) -> Running:
        running = service.start(
            lambda descriptor: [*arguments, "--listen", str(descriptor)],
            environment,
            self._read_known().get(f"{service.name}_port"),
        )
        self._update_known(**{f"{service.name}_port": running.port})
        return running

    def _deploy(self, cloud: Cloud, report: Report) -> Stack:
        parameters = {"ReviewPage": "yes" if self._read_known().get("review_page") else "no", **self._parameters}
        wanted = sam.digest(parameters)
        try:
            stack = find_stack(cloud, STACK)
            if stack.tags.get("bincheck-digest") == wanted:
                return stack
        except NotDeployed:
            pass
        report("Building the functions")
        template = sam.build(self.logs / "sam-build.log")
        report("Deploying template.yaml")
        with contextlib.suppress(cloud.s3().exceptions.BucketAlreadyOwnedByYou):
            cloud.s3().create_bucket(Bucket=sam.ARTIFACTS_BUCKET)
        log = self.logs / "sam-deploy.log"
        sam.deploy(template, STACK, parameters, cloud.endpoint_url or "", log)
        return find_stack(cloud, STACK)

    def _endpoint_environment(self) -> dict[str, str]:
        artifact = os.environ.get(ARTIFACT)
        return self._environment() | ({ARTIFACT: str(Path(artifact).resolve())} if artifact else {})

    def _cloud_environment(self, port: int) -> dict[str, str]:
        return self._environment() | {
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": EMBEDDED_KEY,
            "AWS_SECRET_ACCESS_KEY": EMBEDDED_KEY,
            "MINISTACK_REGION": EMBEDDED_REGION,
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": f"http://127.0.0.1:{port}",
            "LAMBDA_STRICT": "0",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.folder / "objects"),
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }

    def _environment(self) -> dict[str, str]:
        """The environment of the processes: no AWS settings of the user, and temporary files in the folder."""
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
        return inherited | {
            "TMPDIR": str(temporary),
            "PYTHONUNBUFFERED": "1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _read_known(self) -> dict[str, Any]:
        """The stored facts of earlier runs; empty if the file is missing or damaged."""
        try:
            known = json.loads((self.folder / "known.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _update_known(self, **facts: object) -> None:
        written = self.folder / "known.json.new"
        written.write_text(json.dumps({**self._read_known(), **facts}))
        written.replace(self.folder / "known.json")

    def _last_checkpoint(self) -> datetime | None:
        """The time of the last checkpoint of the queues; None if there is none."""
        saved = self.folder / "state" / "sqs.json"
        return datetime.fromtimestamp(saved.stat().st_mtime, UTC) if saved.exists() else None

    def _has_state(self) -> bool:
        return any(True for name in ("state/*.json", "objects/*/*") for _ in self.folder.glob(name))

    def _wipe(self, *names: str) -> None:
        for name in names:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the folder, so that only one command at a time starts or stops processes. Others wait."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _fingerprint(folder: Path) -> str:
    """A hash of the names, sizes and times of a folder's files. It changes when a file changes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    facts = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
