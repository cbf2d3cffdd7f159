"""A profile of a tiny loop with a slow part, and the figures of a trace whose answer is known."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from torch import nn  # noqa: E402
from torch.profiler import record_function  # noqa: E402

from training.loop.profiling import Profiler, summarise  # noqa: E402


def run(out: Path, steps: int = 8, reading_s: float = 0.0, *, tuned: bool = False) -> None:
    """Train a convolution for some steps, `tuned` with channels last and in bfloat16."""
    layout = torch.channels_last if tuned else torch.contiguous_format
    network = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
    network.to(memory_format=layout)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    with Profiler(out, skip=2, steps=3) as profiler:
        for _ in range(steps):
            with record_function("data"):
                time.sleep(reading_s)
                pixels = torch.rand(8, 3, 32, 32).contiguous(memory_format=layout)
            with record_function("forward"), torch.autocast("cpu", torch.bfloat16, enabled=tuned):
                loss = network(pixels).float().square().mean()
            with record_function("backward"):
                loss.backward()
            with record_function("optimizer"):
                optimizer.step()
            profiler.step()


def read(out: Path) -> dict[str, Any]:
    return json.loads((out / "profile" / "summary.json").read_text())


def test_slow_reading_is_found_and_its_cure_is_named(tmp_path: Path) -> None:
    run(tmp_path, reading_s=0.2)
    summary = read(tmp_path)
    assert summary["steps"] == 3
    assert summary["shares"]["data"] > 0.5
    assert sum(summary["shares"].values()) == pytest.approx(1)
    assert summary["gpu_idle_share"] is None or torch.cuda.is_available()
    assert "more loader workers" in summary["advice"][0]
    assert any("conv" in one["name"] for one in summary["operators"])
    assert {path.name for path in (tmp_path / "profile").iterdir()} == {"trace.json.gz", "summary.html", "summary.json"}
    assert "more loader workers" in (tmp_path / "profile" / "summary.html").read_text()


@pytest.mark.parametrize("tuned", [False, True])
def test_precision_and_layout_are_read_from_the_trace(tmp_path: Path, tuned: bool) -> None:
    run(tmp_path, tuned=tuned)
    summary = read(tmp_path)
    assert summary["low_precision_share"] == summary["channels_last_share"] == float(tuned)


def test_run_that_ends_within_the_profile_is_still_summed_up(tmp_path: Path) -> None:
    run(tmp_path, steps=4)
    assert read(tmp_path)["shares"]["forward"] > 0


def test_run_that_is_too_short_for_a_profile_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, steps=1)
    assert "run more steps" in capsys.readouterr().out
    assert not (tmp_path / "profile").exists()


def event(name: str, cat: str, ts: float, dur: float, **arguments: object) -> dict[str, Any]:
    return {"name": name, "cat": cat, "ts": ts, "dur": dur, "args": arguments}


def on_a_gpu() -> list[dict[str, Any]]:
    """One step of 100 us: asked for by 50, worked off by the GPU from 25 to 90; copying and a pause leave it idle."""
    return [
        event("ProfilerStep#3", "user_annotation", 0, 100),
        event("data", "user_annotation", 0, 20),
        event("forward", "user_annotation", 20, 10),
        event("backward", "user_annotation", 30, 20),
        event("cudaLaunchKernel", "cuda_runtime", 22, 1, correlation=1),
        event("cudaLaunchKernel", "cuda_runtime", 40, 1, correlation=2),
        event("conv", "kernel", 25, 25, correlation=1),
        event("conv_backward", "kernel", 50, 40, correlation=2),
    ]


def test_work_of_a_gpu_counts_for_the_part_that_asked_for_it() -> None:
    summary = summarise(on_a_gpu(), [], 0.0)
    assert summary["device"] == "cuda"
    assert summary["gpu_idle_share"] == pytest.approx(0.35)
    expected = {"data": 0.2, "forward": 0.3, "backward": 0.4, "optimizer": 0.0, "other": 0.1}
    assert summary["shares"] == pytest.approx(expected)
    assert any("GPU idles 35%" in text for text in summary["advice"])


def test_operator_that_takes_most_of_the_time_is_named() -> None:
    rows = [{"name": "aten::cumsum", "calls": 2, "self_ms": 90.0}, {"name": "aten::add", "calls": 4, "self_ms": 10.0}]
    assert any("aten::cumsum takes 90%" in text for text in summarise(on_a_gpu(), rows, 0.0)["advice"])


def test_trace_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Profiler\.step"):
        summarise([], [], 0.0)
