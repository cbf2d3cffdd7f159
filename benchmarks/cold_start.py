"""How long the built Checker takes to start, beside a handler that only makes the same boto3 clients.

    python -m benchmarks.cold_start [--rounds 10] [--json]

Both run under Amazon's runtime interface emulator, each time in a new process, in turn. As in Lambda, the SDK is
compiled and a function's own folder is read-only, so what is in it is compiled at every start. The time is that of the
first invocation, S3's test event, which calls nothing, minus that of the second.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

from benchmarks.checker_environment import CHECKER_ENVIRONMENT
from local.embedded import sam
from tests.emulator.emulator import clean_interpreter, running

BARE = """import boto3
boto3.client("s3"), boto3.resource("dynamodb"), boto3.client("sagemaker-runtime")


def handler(event, context):
    return []
"""
ENVIRONMENT = CHECKER_ENVIRONMENT | {"PYTHONDONTWRITEBYTECODE": "1"}
EVENT = {"Event": "s3:TestEvent"}


def cold_start_ms(python: Path, built: Path, handler: str, log: Path) -> float:
    """Milliseconds by which the first invocation of a new process takes longer than its second."""
    with running(python, built, handler, ENVIRONMENT, log) as function:
        took = []
        for _ in range(2):
            started = time.perf_counter()
            answer = function.invoke(EVENT)
            took.append((time.perf_counter() - started) * 1000)
            if answer != []:
                raise SystemExit(f"{handler}: {answer}")
    return took[0] - took[1]


def zipped_mb(folder: Path, archive: Path) -> float:
    """The size of a function's package."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as package:
        for path in folder.rglob("*"):
            package.write(path, path.relative_to(folder))
    return archive.stat().st_size / 1e6


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Time the Checker's cold start.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        sam.build(base / "log")
        python = clean_interpreter(base / "python")
        subprocess.run([python, "-m", "compileall", "-q", base / "python"], check=True)  # noqa: S603
        bare = base / "bare"
        bare.mkdir()
        (bare / "bare.py").write_text(BARE)
        checker = base / "checker"
        shutil.copytree(sam.BUILD / "Checker", checker, ignore=shutil.ignore_patterns("__pycache__"))  # of tests
        ways = {"bare clients": (bare, "bare.handler"), "Checker": (checker, "checker.handler")}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(options.rounds + 1):
            for way, (built, handler) in ways.items():
                took = cold_start_ms(python, built, handler, base / "log")
                if turn:  # the first fills the disk's cache
                    times[way].append(took)
        ratio = statistics.median(times["Checker"]) / statistics.median(times["bare clients"])
        package_mb = zipped_mb(checker, base / "zip")
    if options.json:
        starts = {
            way: {"ms": statistics.median(times[way]), "lowest": min(times[way]), "highest": max(times[way])}
            for way in ways
        }
        print(json.dumps({"ways": starts, "ratio": ratio, "package_mb": package_mb}))
        return
    for way in ways:
        low, *_, high = statistics.quantiles(times[way], n=10)
        print(f"{way:14} {statistics.median(times[way]):6.0f} ms ({low:.0f} to {high:.0f})")
    print(f"the Checker takes {ratio:.2f} times as long; its package has {package_mb:.1f} MB")


if __name__ == "__main__":
    main()
