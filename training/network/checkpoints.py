"""Checkpoints, from which a killed run continues to the weights of an unbroken one."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def fingerprint(what_decides: Mapping[str, object]) -> str:
    """Twelve hex digits that change with anything that decides how a run goes on."""
    text = json.dumps(what_decides, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint; a kill while writing leaves the former one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state), path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def load(path: Path, run: str) -> dict[str, Any]:
    """The checkpoint of the run with that fingerprint. Raises ValueError when it is of another run, or broken."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        written_by = state["run"]
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, KeyError ...
        raise ValueError(f"{path} is no checkpoint ({error}): remove it and start again") from error
    if written_by != run:
        raise ValueError(
            f"{path} belongs to another run (its data or options differ): repeat the command that made it, or name "
            "another folder with --out"
        )
    return state
