"""The committed samples: for each bin the true count, the recorded count, and the expected outcome."""

import io
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image

from .render import as_json, jpeg, metadata_of, render_bin


@dataclass(frozen=True)
class Sample:
    """A sample bin. `recorded` is None without a readable record. `outcome` is the status after a perfect count: match,
    mismatch, waiting or rejected. `flaw` says what is wrong with the files; it is empty for sound ones."""

    id: str
    true: int
    recorded: int | None
    outcome: str
    flaw: str = ""
    suffix: str = ".jpg"


def _sound(bin_id: str, true: int, recorded: int, suffix: str = ".jpg") -> Sample:
    return Sample(bin_id, true, recorded, "match" if true == recorded else "mismatch", suffix=suffix)


# A sample's index here is its seed, so append new samples and keep the order.
SAMPLES = (
    _sound("r001", 1, 1),
    _sound("r002", 2, 2),
    _sound("r003", 3, 3),
    _sound("r004", 4, 4),
    _sound("r005", 5, 5),
    _sound("r006", 0, 0),
    _sound("r007", 8, 8),
    _sound("r008", 2, 3),
    _sound("r009", 3, 2),
    _sound("r010", 1, 2),
    _sound("r011", 4, 3),
    _sound("r012", 5, 4),
    _sound("r013", 4, 5),
    _sound("r014", 2, 5),
    _sound("r015", 3, 1),
    _sound("r016", 1, 1, ".png"),
    _sound("r017", 3, 3),
    _sound("r17", 2, 2),
    _sound("r018", 2, 2),
    _sound("r019", 4, 4),
    _sound("r020", 1, 1),
    _sound("r021", 3, 3),
    _sound("r022", 5, 5),
    _sound("r023", 2, 2),
    _sound("r024", 0, 1),
    Sample("r025", 2, 2, "rejected", "corrupt image"),
    Sample("r026", 3, None, "waiting", "no metadata"),
    Sample("r027", 3, None, "rejected", "invalid metadata"),
)


def files_of(sample: Sample) -> dict[str, bytes]:
    """Render the sample's files, by their path in the inbox layout."""
    rendered = render_bin(SAMPLES.index(sample), sample.true)
    if sample.suffix == ".png":
        buffer = io.BytesIO()
        rendered.image.reduce(2).quantize(64, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
        image = buffer.getvalue()
    else:
        image = jpeg(rendered.image, quality=84)
    if sample.flaw == "corrupt image":
        image = image[: len(image) // 3]
    files = {f"bin-images/{sample.id}{sample.suffix}": image}
    if sample.flaw != "no metadata":
        metadata = metadata_of(rendered, sample.true if sample.recorded is None else sample.recorded)
        if sample.flaw == "invalid metadata":
            metadata["EXPECTED_QUANTITY"] = "three"
        files[f"metadata/{sample.id}.json"] = as_json(metadata).encode()
    return files


def write_samples(folder: Path) -> tuple[Sample, ...]:
    """Write every sample and index.json below `folder`, in place of earlier ones. Returns the samples."""
    for name in ("bin-images", "metadata"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for sample in SAMPLES:
        for path, content in files_of(sample).items():
            (folder / path).write_bytes(content)
    (folder / "index.json").write_text(json.dumps([asdict(sample) for sample in SAMPLES], indent=1) + "\n")
    return SAMPLES
