"""Draws docs/map.md from the code: the rooms, who imports whom, and the way of one upload through them.

python -m tests.maps
"""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import grimp

from tests.simulation.interleaving import Schedule, run
from tests.simulation.warehouse import Step, Warehouse

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "map.md"
FOLDERS = ("functions/inventory", "model", "samples", "training", "local", "costs")


def page() -> str:
    """The whole page."""
    return "\n".join(
        (
            "# Map",
            "",
            "Made from the code by `make map`; `tests/test_maps.py` compares. A room is a folder of modules.",
            "",
            "## Rooms",
            "",
            *_rooms(),
            "",
            "## The way of one upload",
            "",
            "The second file of a pair whose record is wrong, from its event to the alert in the outbox: which file",
            "calls which, in the order of the first call. Calls within a file, and of values, are left out.",
            "",
            *_way(),
            "",
        )
    )


def _rooms() -> Iterator[str]:
    packages = [name for name in (Path(folder).name for folder in FOLDERS) if _folder(name).is_dir()]
    graph = grimp.build_graph(*packages, cache_dir=None, exclude_type_checking_imports=True)
    imports: dict[str, set[str]] = {_room(module): set() for module in graph.modules}
    modules = Counter(_room(module) for module in graph.modules if not _path(module).is_dir())
    for module in graph.modules:
        for other in graph.find_modules_directly_imported_by(module):
            if _room(other) != _room(module):
                imports[_room(module)].add(_room(other))
    yield "| room | files | imports |"
    yield "| --- | ---: | --- |"
    for room in sorted(imports):
        yield f"| `{room}` | {modules[room]} | {', '.join(f'`{other}`' for other in sorted(imports[room])) or '-'} |"


def _room(module: str) -> str:
    """The folder of a module, or the module itself where it is a folder."""
    path = _path(module)
    folder = path if path.is_dir() else path.parent
    return folder.relative_to(ROOT).as_posix().removeprefix("functions/")


def _path(module: str) -> Path:
    first, *rest = module.split(".")
    path = _folder(first).joinpath(*rest)
    return path if path.is_dir() else path.with_suffix(".py")


def _folder(package: str) -> Path:
    return ROOT / next(folder for folder in FOLDERS if Path(folder).name == package)


def _way() -> Iterator[str]:
    house = Warehouse((Step("upload", "metadata", 4),), (Step("upload", "image", 2),))
    calls: list[tuple[str, str, str]] = []
    values = {"bins", "check", "errors", "metadata", "prediction"}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not (callee := _domain_file(frame)) or callee in values or not frame.f_back:
            return
        caller = _domain_file(frame.f_back)
        name = frame.f_code.co_qualname.rpartition(".<locals>.")[2]
        made = (caller or "checker", callee, name)
        if caller is None and callee != "workflow":  # what the simulation itself asks
            return
        if caller != callee and not name.startswith(("_", "<")) and caller not in values and made not in calls:
            calls.append(made)

    def act() -> None:
        sys.setprofile(note)
        try:
            world.processes[0].act()
        finally:
            sys.setprofile(None)

    world = house.world()
    run(type(world)([], world.digest), Schedule())
    act()
    yield "| | from | calls | in |"
    yield "| ---: | --- | --- | --- |"
    for number, (caller, callee, name) in enumerate(calls, 1):
        yield f"| {number} | `{caller}` | `{name}` | `{callee}` |"


def _domain_file(frame: FrameType) -> str | None:
    path = Path(frame.f_code.co_filename)
    return path.stem if path.is_relative_to(ROOT / "functions") else None


if __name__ == "__main__":
    PAGE.write_text(page())
