"""Feed a target inputs that Atheris derives from the coverage of the code that reads them, for some seconds.

    uv run --group dev --with 'atheris>=3' python -m tests.fuzz.guided record --seconds 600

An input that breaks what the target promises stays in build/fuzz, and ends the run. Inputs that reach new code stay in
build/fuzz/guided, and the next run begins with them.
"""

import argparse
import importlib
import sys

import atheris

READERS = ["inventory", "model", "training"]
with atheris.instrument_imports(include=READERS):
    from tests.fuzz.__main__ import CASE_LIMIT_S, KEPT, TARGETS
    from tests.fuzz.seeds import CORPUS


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=600)
    said = parser.parse_args()
    found = KEPT / "guided" / said.target
    found.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=READERS):
        target = importlib.import_module(f"tests.fuzz.targets.{said.target}")

    def feed(data: bytes) -> None:
        target.feed(data)

    limits = (
        f"-max_total_time={said.seconds}",
        f"-timeout={CASE_LIMIT_S:.0f}",
        f"-rss_limit_mb={2 * target.MEMORY_MB}",
    )
    kept = f"-artifact_prefix={KEPT}/{said.target}-"
    atheris.Setup([sys.argv[0], *limits, kept, "-max_len=100000", str(found), str(CORPUS / said.target)], feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
