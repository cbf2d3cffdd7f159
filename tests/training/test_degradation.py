"""Batches lose detail as Pillow and libjpeg take it from one image, and as much as asked."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training.data.degradation import NO_JPEG, Degradation, compress, degrade, soften  # noqa: E402

SAMPLES = sorted((Path(__file__).parents[2] / "samples" / "bin-images").glob("r00[1-6].jpg"))
Pixels = npt.NDArray[np.uint8]


def samples(side: int) -> list[Pixels]:
    return [np.asarray(Image.open(path).convert("RGB").resize((side, side))) for path in SAMPLES]


def batch_of(images: list[Pixels]) -> "torch.Tensor":
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()


def nothing(count: int) -> Degradation:
    zeros = torch.zeros(count)
    return Degradation(torch.ones(count, 2), torch.full((count,), NO_JPEG), zeros, torch.arange(count))


def saved(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("side", [96, 90])  # whole blocks of 16, and not
@pytest.mark.parametrize("quality", [20, 45, 60, 89])
def test_compressed_images_are_those_that_libjpeg_writes(quality: int, side: int) -> None:
    images = samples(side)
    expected = batch_of([saved(pixels, quality) for pixels in images])
    got = compress(batch_of(images), torch.full((len(images),), quality))
    loss = (expected - batch_of(images)).abs().mean()
    assert (got - expected).abs().mean() < min(0.6, 0.25 * loss)


def test_each_image_is_compressed_in_its_own_quality() -> None:
    images, quality = batch_of(samples(64)), torch.tensor([20, 89, 30, 70, 50, 40])
    together = compress(images, quality)
    for index in range(len(images)):
        alone = compress(images[index : index + 1], quality[index : index + 1])
        assert (together[index] - alone[0]).abs().mean() < 0.05


def test_softened_image_is_the_one_that_pillow_resizes() -> None:
    for pixels in samples(100):
        small = Image.fromarray(pixels).resize((40, 70), Image.Resampling.BILINEAR)
        expected = batch_of([np.asarray(small.resize((100, 100), Image.Resampling.BICUBIC))])
        assert (soften(batch_of([pixels]), 0.7, 0.4) - expected).abs().mean() < 0.5


def test_noise_has_the_deviation_asked_for_and_belongs_to_its_image() -> None:
    images, noise = torch.full((4, 3, 64, 64), 120.0), torch.tensor([0.0, 3.0, 12.0, 12.0])
    seeds = torch.tensor([1, 2, 3, 3])
    noisy = degrade(images.clone(), Degradation(torch.ones(4, 2), torch.zeros(4).long(), noise, seeds))
    assert torch.equal(noisy[0], images[0])
    assert [float((noisy[index] - 120).std()) for index in (1, 2)] == pytest.approx([3, 12], rel=0.05)
    assert torch.equal(noisy[2], noisy[3])


def test_image_that_loses_nothing_stays_as_it_is() -> None:
    images = batch_of(samples(64))
    assert torch.equal(degrade(images.clone(), nothing(len(images))), images)
