import io
import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from inventory.counting import count_objects
from inventory.errors import RejectedUpload, RetryLater
from inventory.metadata import Product, Record
from inventory.verdict import judge
from tests.builders import JPEG, LABELS, PRIOR, prediction

ANSWER = {
    "count": 2, "labels": LABELS, "probabilities": prediction(2).probabilities, "prior": PRIOR, "model": "test@0",
    "interval": [2, 2],
}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n..."


@pytest.fixture
def runtime():
    client = boto3.client(
        "sagemaker-runtime", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    with Stubber(client) as stubber:
        client.stubber = stubber
        yield client


def answers(runtime, body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    runtime.stubber.add_response("invoke_endpoint", {"Body": StreamingBody(io.BytesIO(raw), len(raw))})


def ask(runtime, image=JPEG):
    return count_objects(runtime, "counter", image, "check-1")


@pytest.mark.parametrize(("image", "media_type"), [(JPEG, "image/jpeg"), (PNG, "image/png")])
def test_the_image_goes_out_raw_under_its_own_type_and_the_check_id(runtime, image, media_type):
    body = json.dumps(ANSWER).encode()
    runtime.stubber.add_response(
        "invoke_endpoint",
        {"Body": StreamingBody(io.BytesIO(body), len(body))},
        {
            "EndpointName": "counter",
            "ContentType": media_type,
            "Accept": "application/json",
            "Body": image,
            "InferenceId": "check-1",
        },
    )
    assert ask(runtime, image) == prediction(2)


@given(
    volume_in3=st.floats(allow_nan=True) | st.floats(0, 1e9),
    volume_error=st.floats(allow_nan=True) | st.floats(0, 1) | st.sampled_from([5e-324, 1e-200, 1e-6, 1e308]),
    shares=st.lists(st.sampled_from([0.0, 5e-324, 1e-300, 0.5, 1.0]), min_size=7, max_size=7),
    expected=st.sampled_from([0, 1, 6, 100_000]),
)
def test_a_prediction_either_is_the_models_fault_or_can_be_judged(volume_in3, volume_error, shares, expected):
    said = ANSWER | {"probabilities": shares, "volume_in3": volume_in3, "volume_error": volume_error}
    runtime = SimpleNamespace(invoke_endpoint=lambda **_: {"Body": io.BytesIO(json.dumps(said).encode())})
    record = Record(expected, (Product(1, 1e6), Product(100_000, 1e-6)))
    try:
        seen = ask(runtime)
    except RetryLater:
        return
    assert 0 <= judge(seen, record, 0.02).suspicion <= 1


@pytest.mark.parametrize(
    ("said", "read"), [({}, None), ({"interval": [1, 3]}, (1, 3)), ({"interval": [2, None]}, (2, None))]
)
def test_a_model_may_tell_how_far_the_count_may_be_off(runtime, said, read):
    answers(runtime, {name: value for name, value in ANSWER.items() if name != "interval"} | said)
    assert ask(runtime).interval == read


def test_a_model_may_tell_the_volume_that_it_sees(runtime):
    answers(runtime, ANSWER | {"volume_in3": 321.5, "volume_error": 0.5})
    seen = ask(runtime)
    assert (seen.volume_in3, seen.volume_error) == (321.5, 0.5)


def test_what_is_no_image_is_rejected_without_asking(runtime):
    with pytest.raises(RejectedUpload, match="neither JPEG nor PNG"):
        ask(runtime, b"hello")


SAID = "the image cannot be counted: the JPEG ends too early"
REASON = '{"reason": "the JPEG ends too early"}'
BODIES_WITHOUT_A_REASON = (
    *("", " ", "<html>Bad Request</html>", "null", "7", '"reason"', "[]", '["reason"]', "{}", "[" * 100_000),
    *('{"message": "no such key"}', '{"detail": "reason"}', '{"Reason": "x"}', REASON[:-1], f"[{REASON}]"),
    *(json.dumps({"reason": value}) for value in (None, 7, True, [], ["x"], {}, {"reason": "x"}, "", " \n")),
)
"""Answers of proxies, of other containers and of broken ones."""


def refusing(status, body, code="ModelError"):
    """A runtime whose endpoint answers an image with this status and body."""
    said = {"Error": {"Code": code, "Message": body}, "OriginalStatusCode": status, "OriginalMessage": body}

    def invoke_endpoint(**_):
        raise ClientError(said, "InvokeEndpoint")

    return SimpleNamespace(invoke_endpoint=invoke_endpoint)


@pytest.mark.parametrize("code", ["ModelError", "ValidationError"])
def test_only_the_model_condemns_an_image_and_only_with_a_reason(code):
    condemned = set()
    for status in (None, *range(300, 600)):
        for body in (REASON, *BODIES_WITHOUT_A_REASON):
            try:
                ask(refusing(status, body, code))
            except RejectedUpload as rejection:
                condemned.add((status, body, str(rejection)))
            except RetryLater:
                pass
    model_condemns = {(status, REASON, SAID) for status in (400, 413, 415, 422)}
    assert condemned == (model_condemns if code == "ModelError" else set())


def test_a_reason_of_any_characters_can_be_kept():
    runtime = refusing(400, '{"reason": "half a character: \\ud83d"}')
    with pytest.raises(RejectedUpload, match=r"half a character: \?$"):
        ask(runtime)


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("ModelError", {"OriginalStatusCode": 500}),
        ("ModelError", {"OriginalStatusCode": 404}),
        ("ModelError", {"OriginalStatusCode": 429}),
        ("ThrottlingException", {}),
        ("ValidationError", {}),
        ("ServiceUnavailable", {}),
    ],
)
def test_faults_of_the_endpoint_are_worth_a_retry(runtime, code, fields):
    runtime.stubber.add_client_error("invoke_endpoint", code, modeled_fields=fields)
    with pytest.raises(RetryLater, match=code):
        ask(runtime)


def test_a_timeout_is_worth_a_retry(runtime, monkeypatch):
    def slow(**_):
        raise ReadTimeoutError(endpoint_url="http://endpoint")

    monkeypatch.setattr(runtime, "invoke_endpoint", slow)
    with pytest.raises(RetryLater, match="did not answer"):
        ask(runtime)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"<html>",
        b"[]",
        b"[" * 100_000,
        {},
        ANSWER | {"probabilities": [10**400, *[0] * 6]},
        ANSWER | {"volume_in3": 10**400},
        ANSWER | {"model": "\ud800"},
        ANSWER | {"model": "m" * 201},
        ANSWER | {"count": 7},
        ANSWER | {"count": True},
        ANSWER | {"labels": ["1", "2"]},
        ANSWER | {"labels": []},
        ANSWER | {"probabilities": [1.0]},
        ANSWER | {"probabilities": [0.5] * 7},
        ANSWER | {"probabilities": [0.2, *[0.1] * 6]},
        ANSWER | {"probabilities": [0.6, *[0.1] * 6]},
        ANSWER | {"probabilities": [0.4 + 2e-3, *[0.1] * 6]},
        ANSWER | {"prior": [0.4 - 2e-3, *[0.1] * 6]},
        ANSWER | {"probabilities": [float("nan")] * 7},
        ANSWER | {"volume_in3": -1},
        ANSWER | {"volume_in3": 1e200},
        ANSWER | {"volume_error": 0},
        ANSWER | {"volume_in3": 1, "volume_error": 1e-200},
        ANSWER | {"volume_error": "large"},
        ANSWER | {"prior": None},
        ANSWER | {"interval": 2},
        ANSWER | {"interval": [2]},
        ANSWER | {"interval": [2, 1]},
        ANSWER | {"interval": [-1, 2]},
        ANSWER | {"interval": [3, 4]},
        ANSWER | {"interval": [0, 1]},
        ANSWER | {"interval": [2, 7]},
        ANSWER | {"interval": [1.5, 3]},
        ANSWER | {"interval": [True, 3]},
        ANSWER | {"interval": [1, "3"]},
        ANSWER | {"interval": [None, 3]},
        ANSWER | {"labels": [*"0123456"], "interval": [2, None]},
    ],
    ids=lambda garbage: str(garbage)[-60:],
)
def test_an_answer_that_is_no_prediction_is_worth_a_retry(runtime, garbage):
    answers(runtime, garbage)
    with pytest.raises(RetryLater, match="answered no prediction"):
        ask(runtime)
