"""What the endpoint answers, as a prediction and as a refusal."""

import io
import math
from dataclasses import replace

from botocore.exceptions import ClientError

from inventory import verdict
from inventory.check import Check
from inventory.counting import count_objects
from inventory.errors import RejectedUpload, RetryLater
from inventory.metadata import Product, Record
from tests.builders import JPEG
from tests.fuzz.leaving import NOW, leave

MEMORY_MB = 512
TOKENS = (
    *(
        b'"count"',
        b'"labels"',
        b'"probabilities"',
        b'"prior"',
        b'"model"',
        b'"volume_in3"',
        b'"reason"',
        b'"6+"',
        b"NaN",
    ),
    *(b"1e999", b"1" + b"0" * 400, b"[", b"{", b'"', b"\\ud800", b"0.5", b"-0.0"),
)
CHECK = Check("7", "", "image/record", "rejected", NOW)


class _Answers:
    def __init__(self, body):
        self._body = body

    def invoke_endpoint(self, **_):
        return {"Body": io.BytesIO(self._body)}


class _Refuses(_Answers):
    def invoke_endpoint(self, **_):
        message = self._body.decode(errors="surrogateescape")
        response = {"Error": {"Code": "ModelError"}, "OriginalStatusCode": 400, "OriginalMessage": message}
        raise ClientError(response, "InvokeEndpoint")


def feed(data: bytes) -> str:
    try:
        count_objects(_Refuses(data), "counter", JPEG, "check")
    except RejectedUpload as rejection:
        leave(replace(CHECK, reason=str(rejection)))
    except RetryLater as failure:
        assert len(str(failure)) < 500
    try:
        seen = count_objects(_Answers(data), "counter", JPEG, "check")
    except RetryLater as failure:
        assert len(str(failure)) < 500
        return "RetryLater"
    assert math.isclose(sum(seen.probabilities), 1, abs_tol=1e-3)
    for expected in (0, seen.count, 100_000):
        judged = verdict.judge(seen, Record(expected, (Product(1, 1e6), Product(100_000, 1e-6))), 0.02)
        assert 0 <= judged.suspicion <= 1
        shares = dict(zip(seen.labels, seen.probabilities, strict=True))
        known = {"predicted": seen.count, "probabilities": shares, "suspicion": judged.suspicion, "model": seen.model}
        leave(replace(CHECK, status=judged.status, predicted_volume_in3=seen.volume_in3, **known))
    return "Prediction"
