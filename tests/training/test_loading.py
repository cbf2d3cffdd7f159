"""Batches are the same whoever decodes them, wherever they are held and wherever an epoch begins."""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from model.images import RejectedImage, decode  # noqa: E402
from training import train  # noqa: E402
from training.data import cache, loading  # noqa: E402
from training.data.bins import LabelledBin, read_bins  # noqa: E402
from training.data.decoding import exact_pixels, fast_pixels  # noqa: E402
from training.data.loading import Batch, ImageLoader  # noqa: E402
from training.data.sampling import batches, epoch_order  # noqa: E402

from .builders import write_set  # noqa: E402

CPU = torch.device("cpu")
SMALL = "--size 32 --batch 10 --epochs 2 --labels 7 --backbone test_resnet --weights none --drop-path 0"
SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "bin-images").glob("r00*.jpg"))


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledBin]:
    return read_bins(write_set(tmp_path_factory.mktemp("bins") / "set", 60), "train")


def plan(bins: list[LabelledBin], epoch: int, first: int = 0, rank: int = 0, world: int = 1) -> list:
    return list(batches(epoch_order(np.full(len(bins), 1 / len(bins)), 0, epoch), 8, first, rank, world))


def varied(loaded: list[Batch]) -> list["torch.Tensor"]:
    return [one.varied for one in loaded]


def epochs(loader: ImageLoader, bins: list[LabelledBin]) -> list["torch.Tensor"]:
    return [image for epoch in (0, 1) for image in varied(list(loader.batches(plan(bins, epoch), (5, epoch), size=24)))]


def test_workers_and_cache_change_no_bit_in_any_epoch(bins: list[LabelledBin]) -> None:
    plain = epochs(ImageLoader(bins, 32, decode=fast_pixels, workers=0), bins)
    for place, workers in (("none", 2), ("memory", 0), ("memory", 2)):
        loader = ImageLoader(bins, 32, decode=fast_pixels, workers=workers, cache=place)
        assert all(torch.equal(*pair) for pair in zip(plain, epochs(loader, bins), strict=True)), (place, workers)


def test_epoch_that_goes_on_in_the_middle_goes_on_with_the_same_batches(bins: list[LabelledBin]) -> None:
    loader = ImageLoader(bins, 32, cache="memory")
    whole = list(loader.batches(plan(bins, 1), (5, 1)))
    rest = list(loader.batches(plan(bins, 1, first=2), (5, 1)))
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(*pair) for pair in zip(varied(whole[2:]), varied(rest), strict=True))


def test_two_processes_see_the_images_of_one(bins: list[LabelledBin]) -> None:
    loader = ImageLoader(bins, 32, cache="memory")
    alone = varied(list(loader.batches(plan(bins, 0), (5, 0))))
    for rank in range(2):
        share = varied(list(loader.batches(plan(bins, 0, rank=rank, world=2), (5, 0))))
        for batch, part in zip(alone, share, strict=True):
            torch.testing.assert_close(batch[rank::2], part)


def test_batches_made_ahead_are_those_made_when_asked_for(bins: list[LabelledBin]) -> None:
    loader = ImageLoader(bins, 32, cache="memory")
    for kind in ("camera", "randaugment"):
        plain = varied(list(loader.batches(plan(bins, 0), (5, 0), kind)))
        ahead = varied(list(loading._ahead(loader.batches(plan(bins, 0), (5, 0), kind), CPU)))
        assert len(plain) == len(ahead)
        assert all(torch.equal(*pair) for pair in zip(plain, ahead, strict=True))


def test_batch_of_images_held_on_the_device_is_moved_whole(bins: list[LabelledBin]) -> None:
    device = torch.device("meta")
    batch = next(ImageLoader(bins, 32).batches(plan(bins, 0), (5, 0)))
    moved = replace(batch, images=batch.images.to(device)).to(device)
    assert {moved.indices.device, moved.variation.homography.device, moved.images.device} == {device}


def test_error_of_a_batch_made_ahead_reaches_the_loop(bins: list[LabelledBin]) -> None:
    def batches() -> Iterator[Batch]:
        yield from ImageLoader(bins, 32, cache="memory").batches(plan(bins, 0))
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(loading._ahead(batches(), CPU))


def test_images_are_decoded_once_where_they_are_held(bins: list[LabelledBin]) -> None:
    decoded = []

    def decode(one: LabelledBin, size: int) -> "torch.Tensor":
        decoded.append(one.id)
        return exact_pixels(one, size)

    loader = ImageLoader(bins, 32, decode=decode, cache="memory", workers=0)
    epochs(loader, bins)
    assert sorted(decoded) == sorted(one.id for one in bins)


def test_workers_stay_for_the_next_epoch(bins: list[LabelledBin]) -> None:
    loader = ImageLoader(bins, 32, decode=_with_process_id, workers=1)
    first, second = ({int(batch.images[0, 0, 0, 0]) for batch in loader.batches(plan(bins, epoch))} for epoch in (0, 1))
    assert first == second


def _with_process_id(one: LabelledBin, size: int) -> "torch.Tensor":
    return torch.full((size, size, 3), os.getpid() % 251, dtype=torch.uint8)


def test_unreadable_image_is_named_by_any_worker(bins: list[LabelledBin], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(SAMPLES[0].read_bytes()[:5000])
    for place, workers in (("memory", 0), ("none", 1)):
        with pytest.raises(ValueError, match=r"broken.jpg cannot be read"):
            list(
                ImageLoader(
                    [LabelledBin("b", 1, broken)], 32, decode=fast_pixels, cache=place, workers=workers
                ).batches([[(0, 0)]])
            )


def bin_of(data: bytes, folder: Path, suffix: str = ".jpg") -> LabelledBin:
    path = folder / f"image{suffix}"
    path.write_bytes(data)
    return LabelledBin("image", 1, path)


def jpeg(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize(("scale", "difference"), [(1, 0.05), (8, 0.3)])
def test_images_decoded_fast_are_nearly_those_that_serving_sees(scale: int, difference: float, tmp_path: Path) -> None:
    for path in SAMPLES[:4]:
        image = Image.open(path).convert("RGB")
        one = bin_of(jpeg(image.resize((image.width * scale, image.height * scale))), tmp_path)
        apart = fast_pixels(one, 224).float() - exact_pixels(one, 224).float()
        assert apart.abs().mean() < difference


def test_prepared_images_decoded_fast_are_those_that_serving_sees(tmp_path: Path) -> None:
    for path in SAMPLES:
        one = bin_of(jpeg(Image.open(path).convert("RGB").resize((224, 224))), tmp_path)
        assert (fast_pixels(one, 224).int() - exact_pixels(one, 224).int()).abs().max() <= 1


@given(
    place=st.floats(0, 1, exclude_max=True),
    edit=st.sampled_from(["cut", "zeros", "lost", "changed"]),
    progressive=st.booleans(),
    size=st.sampled_from([32, 160]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_serving_finds_damaged_training_does_too(
    place: float, edit: str, progressive: bool, size: int, tmp_path: Path
) -> None:
    """But for what only the pixels show, of which training.prepare keeps a set free. 32 pixels need a reduced scale."""
    whole = jpeg(Image.open(SAMPLES[0]).convert("RGB").resize((160, 144)), progressive=progressive)
    at = int(place * len(whole))
    data = {
        "cut": whole[:at],
        "zeros": whole[:at] + bytes(200) + whole[at + 200 :],
        "lost": whole[:at] + whole[at + 500 :],
        "changed": whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :],
    }[edit]
    one = bin_of(data, tmp_path)
    try:
        decode(data)
    except RejectedImage as error:
        if not re.search("shows nothing|one flat colour", error.reason):
            with pytest.raises(ValueError, match="cannot be read"):
                fast_pixels(one, size)
    else:
        assert (fast_pixels(one, size).float() - exact_pixels(one, size).float()).abs().mean() < 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("scale", [1, 8])
def test_turned_and_colourless_images_are_decoded_as_serving_does(mode: str, scale: int, tmp_path: Path) -> None:
    image = Image.open(SAMPLES[0]).convert("RGB").resize((200 * scale, 150 * scale))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    for data in (jpeg(image.convert(mode)), jpeg(image, exif=exif)):
        one = bin_of(data, tmp_path)
        assert (fast_pixels(one, 64).float() - exact_pixels(one, 64).float()).abs().mean() < 0.5


@pytest.mark.parametrize(
    ("size_bytes", "processes", "place"), [(300, 1, "memory"), (300, 2, "none"), (400, 1, "none"), (150, 2, "memory")]
)
def test_set_is_held_in_memory_up_to_a_third_of_it(
    size_bytes: int, processes: int, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "machine_memory", lambda: 1000)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert cache.choose_cache("auto", size_bytes, CPU) == place


def test_device_holds_a_set_up_to_a_quarter_of_its_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    monkeypatch.setattr(cache, "machine_memory", lambda: 1200)
    places = [cache.choose_cache("auto", size_bytes, torch.device("cuda")) for size_bytes in (250, 251, 401)]
    assert places == ["device", "memory", "none"]


@pytest.mark.parametrize(
    ("device", "place", "images", "workers"),
    [("cuda", "none", 9, 8), ("cpu", "none", 9, 1), ("cuda", "memory", 9, 0), ("cpu", "memory", 2048, 4)],
)
def test_workers_are_as_many_as_are_of_use(
    device: str, place: str, images: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "cores", lambda: 8)
    assert loading._workers(None, images, torch.device(device), place) == workers


def test_run_ends_the_same_wherever_images_are_held(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", 70, labels=7)
    ends = []
    for place in ("none", "memory"):
        out = tmp_path / place
        train.main([*SMALL.split(), "--data", str(folder), "--out", str(out), "--cache", place, "--workers", "1"])
        ends.append(torch.load(out / "best.pt", weights_only=True)["network"])
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize(
    ("place", "workers", "line"),
    [
        ("memory", 0, r"36 images held in memory \(0.00 GB at 32 pixels\), decoded by the training process in"),
        ("none", 1, r"36 images decoded by 1 worker in each epoch"),
        ("none", 2, r"36 images decoded by 2 workers in each epoch"),
    ],
)
def test_loader_says_where_images_are_held_and_who_decodes(
    place: cache.Cache, workers: int, line: str, bins: list[LabelledBin]
) -> None:
    assert re.match(line, str(ImageLoader(bins, 32, cache=place, workers=workers)))
