"""The images that the benchmarks of serving take: those of a folder, or the samples."""

from pathlib import Path

from model.images import RejectedImage, decode

SAMPLES = Path(__file__).parents[1] / "samples/bin-images"


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
