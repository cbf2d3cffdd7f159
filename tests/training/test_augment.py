"""Variations keep every image an image of the same bin, and depend on nothing but their own seed."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training.data.augment import (  # noqa: E402
    ERASE_SHARE,
    GREY_SHARE,
    JPEG_QUALITY,
    JPEG_SHARE,
    KINDS,
    MAX_NOISE,
    MAX_PATCHES,
    NOISE_SHARE,
    SOFTEN_SHARE,
    SOFTEN_TO,
    Variation,
    augment,
    draw,
    to_float,
)

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(1, 255, (6, 32, 32, 3), dtype=np.uint8))


def seeds(count: int) -> list[tuple[int, int]]:
    return [(7, position) for position in range(count)]


def nothing(count: int) -> Variation:
    return Variation(torch.eye(3).expand(count, 3, 3), torch.ones(count, 7), torch.zeros(count, MAX_PATCHES, 7))


def test_variation_of_nothing_leaves_images_as_they_are() -> None:
    torch.testing.assert_close(augment(IMAGES, nothing(6), 32), to_float(IMAGES), atol=1e-5, rtol=0)


def test_mirror_image_is_the_only_other_image_when_nothing_else_may_change() -> None:
    varied = augment(IMAGES, draw("mirror", seeds(6)), 32)
    straight, mirrored = to_float(IMAGES), to_float(IMAGES).flip(3)
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(varied, straight, strict=True)]
    flipped = [torch.allclose(a, b, atol=1e-5) for a, b in zip(varied, mirrored, strict=True)]
    assert all(a != b for a, b in zip(same, flipped, strict=True))
    assert any(same)
    assert any(flipped)


@pytest.mark.parametrize("kind", KINDS)
def test_image_is_varied_alike_in_any_batch(kind: str) -> None:
    together = augment(IMAGES, draw(kind, seeds(6)), 48)
    for index, seed in enumerate(seeds(6)):
        alone = augment(IMAGES[index : index + 1], draw(kind, [seed]), 48)
        torch.testing.assert_close(together[index : index + 1], alone)
    assert together.shape == (6, 3, 48, 48)
    assert 0 <= together.min() <= together.max() <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_different_seeds_vary_differently(kind: str) -> None:
    same = IMAGES[:1].expand(32, -1, -1, -1)
    varied = augment(same, draw(kind, seeds(32)), 32)
    assert len({image.numpy().tobytes() for image in varied}) >= (2 if kind == "mirror" else 16)


def test_policy_leaves_the_random_numbers_of_the_loop_as_they_are() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    augment(IMAGES, draw("randaugment", seeds(6)), 32)
    assert torch.equal(torch.rand(4), expected)


def test_objects_stay_in_view_however_they_are_moved() -> None:
    images = torch.zeros(200, 64, 64, 3, dtype=torch.uint8)
    images[:, 8:56, 8:56] = 200  # what counts is seldom closer to the edge than an eighth
    moves = draw("camera", seeds(200)).homography
    varied = augment(images, replace(nothing(200), homography=moves), 64)
    assert ((varied.mean(1) > 0.3).float().mean((1, 2))).min() > 0.6 * (48 / 64) ** 2


def test_light_is_gain_then_contrast_then_saturation_then_gamma() -> None:
    light = draw("camera", seeds(6)).light
    varied = augment(IMAGES, replace(nothing(6), light=light), 32)
    for image, out, (*gain, contrast, saturation, gamma, colour) in zip(to_float(IMAGES), varied, light, strict=True):
        expected = image * torch.stack(gain)[:, None, None]
        expected = (expected - expected.mean()) * contrast + expected.mean()
        grey = expected.mean(0)
        expected = ((expected - grey) * saturation * colour + grey).clamp(1e-3, 1) ** gamma
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)


def test_shares_and_ranges_of_a_camera_are_those_of_the_recipe() -> None:
    variation = draw("camera", seeds(4000))
    lost = variation.degradation
    assert lost is not None
    softened, compressed, noisy = (lost.soften < 1).all(1), lost.quality > 0, lost.noise > 0
    shares = [one.float().mean() for one in (softened, compressed, noisy)]
    assert shares == pytest.approx([SOFTEN_SHARE, JPEG_SHARE, NOISE_SHARE], abs=0.03)
    chosen = (lost.soften[softened], lost.quality[compressed].float(), lost.noise[noisy])
    for values, (low, high) in zip(chosen, (SOFTEN_TO, JPEG_QUALITY, (0, MAX_NOISE)), strict=True):
        assert low <= values.min() <= values.max() < high
        assert float(values.mean()) == pytest.approx((low + high) / 2, rel=0.04)
    patches = (variation.patches[..., 1] > 0).sum(1)
    assert [(patches == number).float().mean() for number in range(MAX_PATCHES + 1)] == pytest.approx(
        [1 - ERASE_SHARE, *[ERASE_SHARE / MAX_PATCHES] * MAX_PATCHES], abs=0.03
    )
    assert (variation.light[:, 6] == 0).float().mean() == pytest.approx(GREY_SHARE, abs=0.02)
