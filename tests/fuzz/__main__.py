"""Feed the targets mutations of their corpus, each in a process of limited memory; fails when one of them breaks."""

import argparse
import faulthandler
import importlib
import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.mutation import mutated
from tests.fuzz.seeds import seeds

TARGETS = ("event", "key", "record", "labels", "answer", "image", "endpoint")
CASE_LIMIT_S = 10.0
"""Of processor time, for one input: the Checker waits so long for an answer of the endpoint."""
STUCK_S = 300
"""Of wall-clock time, after which an input is taken to never end: machines that run tests are busy."""
KEPT = Path("build/fuzz")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--names", action="store_true", help="print the names of the targets")
    parser.add_argument("--in-this-process", action="store_true", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.names:
        print(*TARGETS)
        return
    KEPT.mkdir(parents=True, exist_ok=True)
    if said.in_this_process:
        print(json.dumps(feed(said.targets[0], said.cases, said.seed)))
        return
    print(f"{'target':<10}{'cases':>9}{'seconds':>9}{'slowest':>10}{'memory':>9}{'limit':>9}  what became of them")
    broken = [name for name in said.targets if not _report(name, said.cases, said.seed)]
    if broken:
        sys.exit(f"broken: {', '.join(broken)}; the input that did it is in {KEPT}/<target>.bin")


def feed(name: str, cases: int, seed: int) -> dict[str, object]:
    """Feed a target its corpus and then `cases` mutations, in this process, which must not need more than its memory.

    Raises:
        AssertionError: a case took too long, or broke what its target promises; any other error is a breach too.
    """
    faulthandler.enable()
    target = importlib.import_module(f"tests.fuzz.targets.{name}")
    resource.setrlimit(resource.RLIMIT_DATA, (target.MEMORY_MB << 20, target.MEMORY_MB << 20))
    corpus, kept = seeds(name), KEPT / f"{name}.bin"
    became: Counter[str] = Counter()
    started, slowest = time.monotonic(), 0.0
    for case in range(-len(corpus), cases):
        data = corpus[case] if case < 0 else mutated(random.Random(f"{seed} {case}"), corpus, target.TOKENS)
        kept.write_bytes(data)
        signal.alarm(STUCK_S)
        began = time.process_time()
        became[target.feed(data)] += case >= 0
        slowest = max(slowest, time.process_time() - began)
        assert slowest < CASE_LIMIT_S, f"case {case} took {slowest:.1f} s"
        if case >= 0 and (case + 1) % 10_000 == 0:
            print(f"{name}: {case + 1:,} cases", file=sys.stderr)
    signal.alarm(0)
    kept.unlink()
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    assert memory_mb < target.MEMORY_MB, f"{memory_mb} MB"
    seconds = time.monotonic() - started
    return {"seconds": seconds, "slowest": slowest, "memory": memory_mb, "limit": target.MEMORY_MB, "became": became}


def _report(name: str, cases: int, seed: int) -> bool:
    command = [sys.executable, "-m", "tests.fuzz", name, f"--cases={cases}", f"--seed={seed}", "--in-this-process"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        print(f"{name:<10}broke, exit status {done.returncode}", flush=True)
        return False
    told = json.loads(done.stdout)
    became = ", ".join(f"{count:,} {what}" for what, count in sorted(told["became"].items(), key=lambda one: -one[1]))
    print(
        f"{name:<10}{cases:>9,}{told['seconds']:>9.0f}{told['slowest'] * 1000:>7.0f} ms{told['memory']:>6} MB"
        f"{told['limit']:>6} MB  {became}",
        flush=True,
    )
    return True


if __name__ == "__main__":
    main()
