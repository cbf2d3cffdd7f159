"""The images that the benchmarks of serving take: those of a folder, or the samples."""

import argparse
from pathlib import Path

from model.images import RejectedImage, decode

SAMPLES = Path(__file__).parents[1] / "samples/bin-images"


def options_of(description: str) -> argparse.ArgumentParser:
    """The options that all benchmarks of serving have: --images and --json."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--images", type=Path, help="folder of JPEGs as they are uploaded; unless set, the samples")
    parser.add_argument("--json", action="store_true")
    return parser


def pictures(folder: Path | None, limit: int = 200) -> list[bytes]:
    """The first JPEGs below a folder that the endpoint takes; without a folder, the samples'.

    Exits where there is none.
    """
    found = []
    for path in sorted((folder or SAMPLES).rglob("*.jpg"))[:limit]:
        try:
            decode(content := path.read_bytes())
        except RejectedImage:
            continue
        found.append(content)
    if not found:
        raise SystemExit(f"{folder} holds no .jpg that can be counted")
    return found
