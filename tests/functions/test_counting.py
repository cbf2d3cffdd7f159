import io
import json

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from botocore.stub import Stubber

from inventory.counting import count_objects
from inventory.errors import RejectedUpload, RetryLater
from tests.builders import JPEG, LABELS, PRIOR, prediction

ANSWER = {"count": 2, "labels": LABELS, "probabilities": prediction(2).probabilities, "prior": PRIOR, "model": "test@0"}
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


def test_a_model_may_tell_the_volume_that_it_sees(runtime):
    answers(runtime, ANSWER | {"volume_in3": 321.5, "volume_error": 0.5})
    seen = ask(runtime)
    assert (seen.volume_in3, seen.volume_error) == (321.5, 0.5)


def test_what_is_no_image_is_rejected_without_asking(runtime):
    with pytest.raises(RejectedUpload, match="neither JPEG nor PNG"):
        ask(runtime, b"hello")


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_an_image_that_the_model_refuses_is_rejected_with_its_reason(runtime, status):
    runtime.stubber.add_client_error(
        "invoke_endpoint",
        "ModelError",
        http_status_code=424,
        modeled_fields={"OriginalStatusCode": status, "OriginalMessage": '{"reason": "the JPEG ends too early"}'},
    )
    with pytest.raises(RejectedUpload, match="the JPEG ends too early"):
        ask(runtime)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("[" * 100_000, "the endpoint gives no reason$"),
        ('{"reason": "half a character: \\ud83d"}', r"half a character: \?$"),
        ('{"reason": 7}', "counted: 7$"),
    ],
    ids=["deeply-nested", "half-a-character", "number"],
)
def test_a_reason_of_any_form_can_be_kept(runtime, message, reason):
    fields = {"OriginalStatusCode": 400, "OriginalMessage": message}
    runtime.stubber.add_client_error("invoke_endpoint", "ModelError", http_status_code=424, modeled_fields=fields)
    with pytest.raises(RejectedUpload, match=reason):
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
        ANSWER | {"volume_error": "large"},
        ANSWER | {"prior": None},
    ],
    ids=lambda garbage: str(garbage)[-60:],
)
def test_an_answer_that_is_no_prediction_is_worth_a_retry(runtime, garbage):
    answers(runtime, garbage)
    with pytest.raises(RetryLater, match="answered no prediction"):
        ask(runtime)
