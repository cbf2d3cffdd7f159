"""The AWS SAM command line, in a separate tool environment: its pinned dependencies conflict with this project's.

python -m local.embedded.sam validate --lint      runs `sam` with these arguments
"""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from local.embedded.service import last_line
from local.errors import CommandFailed
from local.stack.aws import EMBEDDED_KEY, EMBEDDED_REGION

ROOT = Path(__file__).resolve().parents[2]
VERSION = "1.170.0"
PIP_VERSION = "26.1"
"""`sam build` installs the functions' packages with the pip of its environment. uv's environments have none."""
BUILD = ROOT / ".bincheck" / "build"
"""One build serves every embedded cloud of this checkout: it depends on the sources and the interpreter only."""
NO_PROXY = ("no_proxy", "NO_PROXY")
ARTIFACTS_BUCKET = "bincheck-deployments"
SOURCES = ("template.yaml", "functions", "review", "deploy/review")


class SamFailed(CommandFailed):
    """A step of the deployment failed. The message has the last line of the log, and names the log."""


def runtime() -> str:
    """The Lambda runtime of the running interpreter, which the embedded cloud uses to run functions."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def digest(parameters: Mapping[str, str]) -> str:
    """A hash of the sources, parameters and tools of a deployment (16 hexadecimal digits)."""
    sha = hashlib.sha256(repr((VERSION, sorted(parameters.items()))).encode())
    for source in SOURCES:
        root = ROOT / source
        files = sorted(root.rglob("*")) if root.is_dir() else [root]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                content = file.read_bytes()
                sha.update(f"{file.relative_to(ROOT)} {len(content)} ".encode() + content)
    return sha.hexdigest()[:16]


def build(log: Path) -> Path:
    """Build the functions of template.yaml for this interpreter, if they are not built. Return the built template.

    Raises:
        SamFailed: the build failed.
    """
    parameters = {"Runtime": runtime()}
    built, done = BUILD / "template.yaml", BUILD / "digest"
    with _build_lock():
        if not (built.exists() and done.exists() and done.read_text() == digest(parameters)):
            done.unlink(missing_ok=True)
            arguments = [
                "build",
                *("--template-file", str(ROOT / "template.yaml")),
                *("--build-dir", str(BUILD)),
                *("--config-file", str(_empty_settings(log.parent))),
                *("--parameter-overrides", *_overrides(parameters)),
            ]
            _logged(arguments, log, clean_environment())
            done.write_text(digest(parameters))
    return built


def deploy(template: Path, stack: str, parameters: Mapping[str, str], url: str, log: Path) -> None:
    """Deploy a built template to the embedded cloud at an address, tagged with the digest of its sources.

    Raises:
        SamFailed: the deployment failed.
    """
    arguments = [
        "deploy",
        *("--template-file", str(template), "--stack-name", stack, "--s3-bucket", ARTIFACTS_BUCKET),
        *("--capabilities", "CAPABILITY_IAM", "--region", EMBEDDED_REGION),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--config-file", str(_empty_settings(log.parent))),
        *("--tags", f"bincheck-digest={digest(parameters)}"),
        *("--parameter-overrides", *_overrides(parameters)),
    ]
    credentials = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": EMBEDDED_KEY,
        "AWS_SECRET_ACCESS_KEY": EMBEDDED_KEY,
        "AWS_DEFAULT_REGION": EMBEDDED_REGION,
    }
    _logged(arguments, log, {**clean_environment(), **credentials})


def command(arguments: Sequence[str]) -> list[str]:
    """The command line that runs `sam` with these arguments.

    Raises:
        SamFailed: uv is not found.
    """
    places = (os.environ.get("UV", ""), "uv", str(ROOT / ".uv" / "bin" / "uv"))  # `uv run` sets UV to its own path
    uv = next(filter(None, map(shutil.which, places)), None)
    if uv is None:
        raise SamFailed(
            "uv runs the AWS SAM command line and is not found: put it on the PATH, or get it by `make setup`"
        )
    tool = ["tool", "run", "--python", sys.executable, "--from", f"aws-sam-cli=={VERSION}"]
    return [uv, *tool, "--with", f"pip=={PIP_VERSION}", "sam", *arguments]


@contextmanager
def _build_lock() -> Iterator[None]:
    BUILD.parent.mkdir(exist_ok=True)
    with BUILD.with_name("build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _logged(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  (the command is fixed)
            command(arguments),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    if status != 0:
        raise SamFailed(f"sam {arguments[0]} failed: {last_line(log)} See {log}")


def clean_environment() -> dict[str, str]:
    """The user's environment without AWS settings, with this interpreter's folder first on the PATH.

    Libraries read either spelling of no_proxy first, so both name the loopback interface, where the embedded cloud is.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOTO"))}
    direct = {name: ",".join(filter(None, (inherited.get(name), "127.0.0.1,localhost"))) for name in NO_PROXY}
    return (
        inherited
        | direct
        | {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), inherited.get("PATH", os.defpath))),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "UV_SYSTEM_CERTS": "1",  # `uv tool run` reads no pyproject.toml
        }
    )


def _empty_settings(folder: Path) -> Path:
    """An empty settings file, because samconfig.toml is for deployments to AWS."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "samconfig.toml"
    settings.write_text("version = 0.1\n")
    return settings


def _overrides(parameters: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in parameters.items()]


def main() -> None:
    """Run `sam` with the arguments of this process, without AWS settings."""
    environment = clean_environment()
    line = command(sys.argv[1:])
    os.execve(line[0], line, environment)  # noqa: S606  (no shell is needed)


if __name__ == "__main__":
    main()
