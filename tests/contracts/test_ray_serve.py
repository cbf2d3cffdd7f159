"""The model.tar.gz under Ray Serve itself, as AWS's container runs it, answers as the embedded endpoint does."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from model.app import create_app
from training.jobs.endpoint.serving import SHIPPED, package

from .batch_transform import batch_transform
from .ray_container import RAY_VERSIONS, ray_container, reason_to_skip, serving

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "it can run")
SAMPLES = Path(__file__).parents[2] / "samples" / "bin-images"
MEDIA = {".jpg": "image/jpeg", ".png": "image/png"}
REAL_BINS = 20


@pytest.fixture(scope="module", params=RAY_VERSIONS)
def container(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("container")
    package(SHIPPED, folder / "model.tar.gz")
    with ray_container(folder / "model.tar.gz", request.param, folder) as url:
        yield url


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    with serving(create_app(SHIPPED)) as url:
        yield url


def ask(url: str, image: Path) -> tuple[int, dict]:
    headers = {"Content-Type": MEDIA[image.suffix]}
    answer = httpx.post(f"{url}/invocations", content=image.read_bytes(), headers=headers, timeout=60)
    return answer.status_code, answer.json()


def assert_same(answer: dict, expected: dict) -> None:
    """All the same; of numbers as much as another build of the runtime may change."""
    assert set(answer) == set(expected)
    for name, value in expected.items():
        assert answer[name] == (pytest.approx(value, abs=1e-4) if name == "probabilities" else value), name


def test_samples_get_the_answers_of_the_embedded_endpoint(container: str, embedded: str) -> None:
    assert httpx.get(f"{container}/ping").status_code == 200
    statuses = set()
    for image in sorted(SAMPLES.iterdir()):
        (status, answer), (expected_status, expected) = ask(container, image), ask(embedded, image)
        assert status == expected_status, image.name
        assert_same(answer, expected)
        statuses.add(status)
    assert statuses == {200, 400}  # one sample is no image


def test_real_bins_get_the_answers_of_the_embedded_endpoint(container: str, embedded: str) -> None:
    if not (folder := os.environ.get("BINCHECK_BINS")):
        pytest.skip("BINCHECK_BINS names no folder with real bins, laid out as bin-images/<id>.jpg")
    images = sorted((Path(folder) / "bin-images").glob("*.jpg"))[:REAL_BINS]
    assert len(images) == REAL_BINS
    for image in images:
        status, answer = ask(container, image)
        assert status == 200
        assert_same(answer, ask(embedded, image)[1])


def test_batch_transform_leaves_an_answer_beside_each_image(container: str, embedded: str, tmp_path: Path) -> None:
    images = [SAMPLES / f"{name}.jpg" for name in ("r001", "r003", "r012")]
    for image in images:
        (tmp_path / "test" / "03").mkdir(parents=True, exist_ok=True)
        shutil.copy(image, tmp_path / "test" / "03")
    batch_transform(container, tmp_path / "test", "image/jpeg", tmp_path / "out")
    for image in images:
        answer = json.loads((tmp_path / "out" / "03" / f"{image.name}.out").read_text())
        assert_same(answer, ask(embedded, image)[1])
