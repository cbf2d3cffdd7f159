"""The endpoint's HTTP contract, as SageMaker and the Checker rely on it."""

import asyncio
import re
import threading
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from model.app import MAX_WAITING, create_app
from model.images import MAX_BYTES
from model.predictor import Prediction, Predictor

BIN_IMAGES = Path(__file__).parents[2] / "samples" / "bin-images"
JPEG = {"Content-Type": "image/jpeg"}


ANSWER = {"count", "interval", "labels", "probabilities", "prior", "model", "volume_in3", "volume_error"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(concurrency=2)) as client:
        yield client


def test_ping_says_which_model_is_alive(client: TestClient) -> None:
    reply = client.get("/ping")
    assert reply.status_code == 200
    assert re.fullmatch(r"[\w-]+@[0-9a-f]{12}", reply.json()["model"])


@pytest.mark.parametrize(("name", "content_type"), [("r003.jpg", "image/jpeg"), ("r016.png", "image/png; q=1")])
def test_image_is_answered_with_a_count_distribution(client: TestClient, name: str, content_type: str) -> None:
    reply = client.post(
        "/invocations", content=(BIN_IMAGES / name).read_bytes(), headers={"Content-Type": content_type}
    )
    assert reply.status_code == 200
    assert set(reply.json()) == ANSWER
    assert isinstance(reply.json()["count"], int)
    assert reply.json()["labels"][-1] == "10+"
    assert sum(reply.json()["probabilities"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("content", "headers", "status", "reason"),
    [
        (b"", JPEG, 400, "empty"),
        (b"hello", JPEG, 400, "no JPEG or PNG"),
        ((BIN_IMAGES / "r025.jpg").read_bytes(), JPEG, 400, "upload it again"),
        (b"\xff" * (MAX_BYTES + 1), JPEG, 413, "bytes"),
        (b"{}", {"Content-Type": "application/json"}, 415, "image/jpeg or image/png"),
        (b"{}", {}, 415, "image/jpeg or image/png"),
        (b"{}", JPEG | {"Content-Length": "9" * 5000}, 413, "bytes"),
    ],
    ids=["empty", "text", "cut short", "too large", "json", "no type", "said to be endless"],
)
def test_fault_of_the_caller_is_a_4xx_with_a_reason(
    client: TestClient, content: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    reply = client.post("/invocations", content=content, headers=headers)
    assert reply.status_code == status
    assert reason in reply.json()["reason"]


def test_image_of_exactly_the_limit_is_answered(client: TestClient) -> None:
    image = (BIN_IMAGES / "r003.jpg").read_bytes()
    reply = client.post("/invocations", content=image.ljust(MAX_BYTES, b"\0"), headers=JPEG)
    assert reply.status_code == 200


def test_what_the_caller_says_is_not_repeated_at_length(client: TestClient) -> None:
    for reply in (client.get("/" + "x" * 9999), client.post("/invocations", headers={"Content-Type": "x" * 9999})):
        assert len(reply.json()["reason"]) < 300


def test_body_of_unknown_length_is_cut_off_at_the_limit(client: TestClient) -> None:
    reply = client.post("/invocations", content=(b"\xff" * 2**20 for _ in range(7)), headers=JPEG)
    assert reply.status_code == 413


def test_an_endless_body_is_read_no_further_than_the_limit() -> None:
    asked, answers = 0, []

    async def receive() -> dict[str, object]:
        nonlocal asked
        asked += 1
        assert asked < 100, "the body is read without end"
        return {"type": "http.request", "body": b"\xff" * 2**20, "more_body": True}

    async def send(message: MutableMapping[str, object]) -> None:
        answers.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/invocations", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"image/jpeg")],
    }  # fmt: skip
    asyncio.run(create_app(concurrency=1)(scope, receive, send))
    assert (answers[0]["status"], asked) == (413, MAX_BYTES // 2**20 + 1)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("GET", "/invocations", 405)])
def test_other_routes_are_refused_in_json(client: TestClient, method: str, path: str, status: int) -> None:
    reply = client.request(method, path)
    assert reply.status_code == status
    assert "POST /invocations" in reply.json()["reason"]


def test_fault_of_ours_is_a_500_in_json(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Predictor, "predict", fail)
    reply = client.post("/invocations", content=b"", headers=JPEG)
    assert reply.status_code == 500
    assert "counter failed" in reply.json()["reason"]


def test_more_images_than_can_be_answered_in_time_are_refused_at_once_and_the_next_are_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, go_on = threading.Event(), threading.Event()
    answer = Predictor().predict((BIN_IMAGES / "r003.jpg").read_bytes())

    def predict(_: Predictor, image: bytes) -> Prediction:
        began.set()
        go_on.wait(timeout=20)
        return answer

    monkeypatch.setattr(Predictor, "predict", predict)

    async def crowd() -> list[int]:
        transport = httpx.ASGITransport(create_app(concurrency=1))
        async with httpx.AsyncClient(transport=transport, base_url="http://counter") as caller:

            async def call() -> int:
                return (await caller.post("/invocations", content=b"\xff", headers=JPEG)).status_code

            first = [asyncio.create_task(call()) for _ in range(MAX_WAITING)]
            await asyncio.to_thread(began.wait, 20)
            try:
                late = [await asyncio.wait_for(call(), 5) for _ in range(3)]
            finally:
                go_on.set()
            return [*late, *await asyncio.gather(*first), await call()]

    assert asyncio.run(crowd()) == [503] * 3 + [200] * MAX_WAITING + [200]


def test_images_that_come_at_once_are_all_answered(client: TestClient) -> None:
    image = (BIN_IMAGES / "r005.jpg").read_bytes()
    with ThreadPoolExecutor(8) as callers:
        replies = list(
            callers.map(lambda _: client.post("/invocations", content=image, headers=JPEG).json(), range(16))
        )
    assert all(reply == replies[0] for reply in replies)
