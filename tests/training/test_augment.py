"""Variations keep every image an image of the same bin, and depend on nothing but their own generator."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training.data.augment import MAX_PATCHES, Variation, augment, degrade, draw, draw_mirror, joined, to_float  # noqa: E402

IMAGES = torch.from_numpy(np.random.default_rng(0).integers(1, 255, (6, 32, 32, 3), dtype=np.uint8))


def nothing(count: int) -> Variation:
    return Variation(torch.eye(3).expand(count, 3, 3), torch.ones(count, 7), torch.zeros(count, MAX_PATCHES, 7))


def test_variation_of_nothing_leaves_images_as_they_are() -> None:
    torch.testing.assert_close(augment(IMAGES, nothing(6), 32), to_float(IMAGES), atol=1e-5, rtol=0)


def test_mirror_image_is_the_only_other_image_when_nothing_else_may_change() -> None:
    varied = augment(IMAGES, joined([draw_mirror(np.random.default_rng(seed)) for seed in range(6)]), 32)
    straight, mirrored = to_float(IMAGES), to_float(IMAGES).flip(3)
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(varied, straight, strict=True)]
    flipped = [torch.allclose(a, b, atol=1e-5) for a, b in zip(varied, mirrored, strict=True)]
    assert all(a != b for a, b in zip(same, flipped, strict=True))
    assert any(same)
    assert any(flipped)


def test_image_is_varied_alike_in_any_batch() -> None:
    variations = [draw(np.random.default_rng(seed)) for seed in range(6)]
    together = augment(IMAGES, joined(variations), 48)
    alone = augment(IMAGES[4:5], variations[4], 48)
    torch.testing.assert_close(together[4:5], alone)
    assert together.shape == (6, 3, 48, 48)
    assert 0 <= together.min() <= together.max() <= 1


def test_objects_stay_in_view_however_they_are_moved() -> None:
    images = torch.zeros(200, 64, 64, 3, dtype=torch.uint8)
    images[:, 8:56, 8:56] = 200  # what counts is seldom closer to the edge than an eighth
    moves = joined([draw(np.random.default_rng(seed)) for seed in range(200)]).homography
    varied = augment(images, replace(nothing(200), homography=moves), 64)
    assert ((varied.mean(1) > 0.3).float().mean((1, 2))).min() > 0.6 * (48 / 64) ** 2


def test_degraded_image_keeps_its_size_and_its_light() -> None:
    smooth = np.full((64, 64, 3), 120, np.uint8)
    for seed in range(20):
        worse = degrade(smooth, np.random.default_rng(seed))
        assert worse.shape == smooth.shape
        assert worse.mean() == pytest.approx(120, abs=2)
