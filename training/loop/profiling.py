"""Where the time of a training goes: torch.profiler's trace of a few steps, and one page that says what to change.

    with Profiler(out) as profiler:
        for each step:
            with record_function("data"): ...  # and so "forward", "backward", "optimizer"
            profiler.step()

leaves in out/profile `trace.json.gz` (for chrome://tracing or ui.perfetto.dev), `summary.html` and `summary.json`.
Steps outside the few run at full speed.
"""

import gzip
import json
import resource
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.autograd import DeviceType  # type: ignore[attr-defined]  # it is not in torch's __all__
from torch.profiler import ProfilerActivity, profile, schedule

from ..report.pages import Page, Section, Table, write_page
from ..report.plots import new_plot

PARTS = ("data", "forward", "backward", "optimizer")
OTHER = "other"
STEP = "ProfilerStep#"
GPU_WORK = ("kernel", "gpu_memcpy", "gpu_memset")
LAUNCHES = ("cuda_runtime", "cuda_driver")
TOP = 10
MUCH = {"data": 0.2, "optimizer": 0.15, OTHER: 0.15, "gpu_idle": 0.15, "operator": 0.5}  # shares worth advice

Event = Mapping[str, Any]
Times = npt.NDArray[np.float64]


class Profiler:
    """Records `steps` steps after the first `skip`, which are slow while caches and kernels warm up.

    A context to run the loop in. When the steps are recorded, or the run ends before, the page is written.
    """

    def __init__(self, out: Path, skip: int = 3, steps: int = 12) -> None:
        """Write to out/profile. Raises ValueError unless `skip` and `steps` are at least 1."""
        if skip < 1 or steps < 1:
            raise ValueError(f"a profile of {steps} steps after {skip} cannot be taken: both have to be at least 1")
        self.folder = out / "profile"
        self._first = skip + 1
        self._trace = self.folder / "trace.json.gz"
        self._ready = self._done = False
        activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * torch.cuda.is_available()
        self._profile = profile(
            activities=activities,
            schedule=schedule(wait=skip - 1, warmup=1, active=steps, repeat=1),
            on_trace_ready=self._export,
            record_shapes=True,
        )

    def __enter__(self) -> "Profiler":
        self._profile.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._done:
            return
        self._profile.__exit__(kind, error, where)
        if self._ready:
            self._write()
        elif error is None:
            print(
                f"no profile: the run ended before step {self._first}, where one begins; run more steps with --profile"
            )

    def step(self) -> bool:
        """Note that a step ended; returns whether the page is written, so that a loop may end there."""
        if not self._done:
            self._profile.step()
            if self._ready:
                self._profile.__exit__(None, None, None)
                self._write()
        return self._done

    def _export(self, recorded: profile) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        recorded.export_chrome_trace(str(self._trace))
        self._ready = True

    def _write(self) -> None:
        self._done = True
        with gzip.open(self._trace, "rt") as file:
            events = json.load(file)["traceEvents"]
        summary = summarise(events, operators(self._profile), peak_memory_mib())
        (self.folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
        write_page(self.folder / "summary.html", page(summary))
        print(f"profile: {self.folder / 'summary.html'}")


def operators(recorded: profile) -> list[dict[str, Any]]:
    """Every operator's name, calls and own time in ms, slowest first; on the GPU where there is one."""
    clock = "self_device_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
    rows = [
        {"name": one.key, "calls": one.count, "self_ms": getattr(one, clock) / 1000}
        for one in recorded.key_averages()
        if one.device_type == DeviceType.CPU and not one.is_user_annotation
    ]
    return sorted((row for row in rows if row["self_ms"] > 0), key=lambda row: -row["self_ms"])


def peak_memory_mib() -> float:
    """The most memory used so far: of the GPU by tensors where there is one, else of the process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def summarise(
    events: Iterable[Event], operators: Sequence[Mapping[str, Any]], peak_memory_mib: float
) -> dict[str, Any]:
    """The figures of a Chrome trace of torch.profiler, its `operators` (see above) and advice that follows from them.

    `shares` of the steps' time go to PARTS and "other" and add up to 1. Where a GPU works, its work counts for the
    part that asked for it, whenever it runs; while it idles, what the loop does counts. `gpu_idle_share` is None
    without a GPU; `low_precision_share` and `channels_last_share` are of the products and convolutions of the forward
    pass, None where there are none. Raises ValueError when the trace holds no step.
    """
    events = list(events)
    steps = [event for event in events if event["name"].startswith(STEP) and event.get("cat") == "user_annotation"]
    if not steps:
        raise ValueError("the trace holds no step: call Profiler.step() at the end of each")
    start, end = min(step["ts"] for step in steps), max(step["ts"] + step["dur"] for step in steps)
    shares, idle = _timeline(events, start, end)
    total_ms = sum(row["self_ms"] for row in operators)
    summary: dict[str, Any] = {
        "device": "cpu" if idle is None else "cuda",
        "steps": len(steps),
        "step_ms": (end - start) / 1000 / len(steps),
        "shares": shares,
        "gpu_idle_share": idle,
        "operators": [
            {
                "name": row["name"],
                "share": row["self_ms"] / total_ms,
                "ms_per_step": row["self_ms"] / len(steps),
                "calls_per_step": row["calls"] / len(steps),
            }
            for row in operators[:TOP]
        ],
        "low_precision_share": _share_of(events, ("aten::_convolution", "aten::addmm"), _is_low_precision),
        "channels_last_share": _share_of(events, ("aten::_convolution",), _is_channels_last),
        "peak_memory_mib": peak_memory_mib,
    }
    return summary | {"advice": advice(summary)}


def _timeline(events: Sequence[Event], start: float, end: float) -> tuple[dict[str, float], float | None]:
    """Each part's share of the time from `start` to `end` (microseconds), and the share in which the GPU idles."""
    marks = sorted(
        (event["ts"], event["ts"] + event["dur"], event["name"])
        for event in events
        if event["name"] in PARTS and event.get("cat") == "user_annotation"
    )
    asked = {
        e["args"]["correlation"]: e["ts"] for e in events if e.get("cat") in LAUNCHES and "correlation" in e["args"]
    }
    work: list[tuple[float, float, Any]] = sorted(
        (e["ts"], e["ts"] + e["dur"], e["args"].get("correlation")) for e in events if e.get("cat") in GPU_WORK
    )
    spent = dict.fromkeys((*PARTS, OTHER), 0.0)
    gaps, reached = [], start
    for begin, finish, correlation in work:
        begin, finish = max(begin, reached), min(finish, end)
        if finish > begin:
            gaps.append((reached, begin))
            spent[_part_at(marks, asked.get(correlation, begin))] += finish - begin
            reached = finish
    gaps.append((reached, end))
    begins, finishes = np.array(gaps, np.float64).T
    idle = float((finishes - begins).sum())
    in_gaps = {part: _overlap([mark[:2] for mark in marks if mark[2] == part], begins, finishes) for part in PARTS}
    in_gaps[OTHER] = idle - sum(in_gaps.values())
    shares = {part: (spent[part] + in_gaps[part]) / (end - start) for part in spent}
    return shares, idle / (end - start) if work else None


def _part_at(marks: Sequence[tuple[float, float, str]], time: float) -> str:
    return next((name for begin, finish, name in marks if begin <= time < finish), OTHER)


def _overlap(spans: Sequence[tuple[float, float]], begins: Times, finishes: Times) -> float:
    """How long the intervals from `begins` to `finishes` lie within `spans`, which are sorted and apart."""
    if not spans:
        return 0.0
    edges = np.array(spans, np.float64)
    lengths = edges[:, 1] - edges[:, 0]
    before = np.stack((np.cumsum(lengths) - lengths, np.cumsum(lengths)), 1)  # time in spans up to each edge
    return float(
        (np.interp(finishes, edges.ravel(), before.ravel()) - np.interp(begins, edges.ravel(), before.ravel())).sum()
    )


def _share_of(events: Iterable[Event], names: Sequence[str], holds: Any) -> float | None:
    found = [
        holds(event["args"]) for event in events if event["name"] in names and "Input type" in event.get("args", {})
    ]
    return sum(found) / len(found) if found else None


def _is_low_precision(arguments: Mapping[str, Any]) -> bool:
    return any(kind in ("c10::BFloat16", "c10::Half") for kind in arguments["Input type"])


def _is_channels_last(arguments: Mapping[str, Any]) -> bool:
    return len(arguments["Input Strides"][0]) == 4 and arguments["Input Strides"][0][1] == 1


def advice(summary: Mapping[str, Any]) -> list[str]:
    """What to change, in the order of what it may gain; empty when no figure stands out."""
    shares, idle = summary["shares"], summary["gpu_idle_share"]
    found: list[tuple[float, str]] = []
    if shares["data"] > MUCH["data"]:
        cure = "more loader workers, images stored at training size, cheaper augmentation"
        found.append((shares["data"], f"Data takes {shares['data']:.0%} of a step: {cure}."))
    if idle is not None and idle > MUCH["gpu_idle"]:
        cure = "a larger batch, pinned memory with non_blocking copies, fewer reads of the loss (.item() waits)"
        found.append((idle, f"The GPU idles {idle:.0%} of the time: {cure}."))
    if shares[OTHER] > MUCH[OTHER]:
        cure = "read the loss, log and average weights less often"
        found.append((shares[OTHER], f"{shares[OTHER]:.0%} of a step is none of {', '.join(PARTS)}: {cure}."))
    if shares["optimizer"] > MUCH["optimizer"]:
        cure = "a larger batch, or the optimizer with foreach=True or fused=True"
        found.append((shares["optimizer"], f"The optimizer takes {shares['optimizer']:.0%} of a step: {cure}."))
    computing = shares["forward"] + shares["backward"]
    top = summary["operators"][0] if summary["operators"] else None
    if top and top["share"] * computing > MUCH["operator"]:
        cure = "smaller images or a lighter backbone" if "conv" in top["name"] else "look for a faster equivalent"
        found.append(
            (top["share"] * computing, f"{top['name']} takes {top['share']:.0%} of all operators' time: {cure}.")
        )
    if computing > 0.5:
        if (summary["low_precision_share"] or 0) < 0.5:
            where = "" if summary["device"] == "cuda" else ", which pays on CPUs with AVX-512 BF16 or AMX"
            found.append((computing / 2, f"The forward pass runs in float32: use bfloat16 under autocast{where}."))
        if summary["channels_last_share"] is not None and summary["channels_last_share"] < 0.5:
            cure = "put network and images in memory_format=torch.channels_last"
            found.append((computing / 3, f"Convolutions get channels first: {cure}."))
    return [text for _, text in sorted(found, key=lambda one: -one[0])]


def page(summary: Mapping[str, Any]) -> Page:
    """The summary as a page; its plot is open until the page is written."""
    figure, axes = new_plot("Share of a step's time", "share", "", height_in=2.4)
    names = list(summary["shares"])
    bars = axes.barh(names, [summary["shares"][name] for name in names])
    axes.bar_label(bars, fmt="{:.0%}", padding=3)
    axes.invert_yaxis()
    idle = summary["gpu_idle_share"]
    facts = {
        "device": summary["device"],
        "steps": summary["steps"],
        "one step": f"{summary['step_ms']:.1f} ms",
        "GPU idle": "no GPU" if idle is None else f"{idle:.0%}",
        "peak memory": f"{summary['peak_memory_mib']:.0f} MiB",
    }
    rows = [
        (one["name"], f"{one['share']:.1%}", one["ms_per_step"], one["calls_per_step"]) for one in summary["operators"]
    ]
    sections = (
        Section("What to change", "\n".join(summary["advice"]) or "Nothing stands out."),
        Section("Where the time goes", plots=(figure,)),
        Section(
            "Operators by their own time",
            tables=(Table(("operator", "share of all operators", "ms a step", "calls a step"), rows),),
        ),
    )
    return Page("Profile of a training", facts, sections)
