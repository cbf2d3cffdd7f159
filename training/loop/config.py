"""Options in a file: a recipe (TOML), or options.json as a run leaves it."""

import argparse
import json
import tomllib
from collections.abc import Mapping
from dataclasses import Field
from pathlib import Path
from typing import Any

from .options import option_fields

RECORDED = ("run", "processes", "commit", "digests", "device", "computed_in")
"""Keys of options.json that say what a run was, beside its options."""


def read_config(path: Path) -> dict[str, Any]:
    """The values of the options that a file names, by name.

    Raises FileNotFoundError; ValueError, which names the file and the key, when a name is unknown or a value is wrong.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: --config takes a recipe (TOML) or options.json of a run")
    try:
        found = json.loads(path.read_text()) if path.suffix == ".json" else tomllib.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no {'JSON' if path.suffix == '.json' else 'TOML'}: {error}") from error
    known = {one.name: one for _, one in option_fields()}
    values = {}
    for key, raw in found.items():
        if raw is None or (key in RECORDED and path.suffix == ".json"):
            continue
        name = key.replace("-", "_")
        if name not in known:
            raise ValueError(f"{path}: {key} is no option of training.train: --help lists them")
        try:
            values[name] = _value(known[name], raw)
        except (argparse.ArgumentTypeError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: {key} cannot be {raw!r}: {error}") from error
    return values


def _value(option: "Field[Any]", raw: object) -> Any:
    """What the command line would make of `raw`. Raises ValueError when it would refuse it."""
    reading = option.metadata["reading"]
    read, choices = reading.get("type", str), reading.get("choices")
    if reading.get("nargs") == "+":
        if not isinstance(raw, list):
            raise ValueError("it takes a list")
        return tuple(read(str(one)) for one in raw)
    if isinstance(raw, dict | list):
        raise ValueError("it takes one value")
    value = read(str(raw))
    if choices and value not in choices:
        raise ValueError(f"choose from {', '.join(choices)}")
    return value


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as TOML and JSON have them; options that are not set are left out."""
    return {name: _plain(name, value) for name, value in values.items() if value is not None}


def _plain(name: str, value: Any) -> Any:
    if name == "grow":
        return ",".join(f"{size}:{epochs}" for size, epochs in value)
    if isinstance(value, tuple | list):
        return [str(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def to_toml(values: Mapping[str, Any]) -> str:
    """The values as a recipe that `read_config` reads, a comment above each group."""
    lines: list[str] = []
    group = ""
    written = plain(values)
    for name, one in option_fields():
        if one.name not in written:
            continue
        if name != group:
            lines += [f"# {name}"] if not lines else ["", f"# {name}"]
            group = name
        lines.append(f"{one.name} = {_toml(written[one.name])}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
