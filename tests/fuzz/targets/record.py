"""A metadata file, up to the verdict that its record leads to."""

from dataclasses import replace

from inventory import verdict
from inventory.check import Check
from inventory.errors import RejectedUpload
from inventory.metadata import EXPECTED_QUANTITY_LIMIT, read_record
from tests.builders import prediction
from tests.fuzz.leaving import NOW, leave

MEMORY_MB = 512
TOKENS = (
    *(
        b'"EXPECTED_QUANTITY"',
        b'"BIN_FCSKU_DATA"',
        b'"quantity"',
        b'"value"',
        b'"unit"',
        b"NaN",
        b"1e999",
        b"-1",
        b"[",
        b"{",
    ),
    *(b"\xef\xbb\xbf", b"\xff", b"\\ud800", b"," * 3, b"9" * 4301, b'"', b"\0"),
)


def feed(data: bytes) -> str:
    check = Check("7", "", "image/record", "rejected", NOW)
    try:
        record = read_record(data, "metadata/7.json")
    except RejectedUpload as rejection:
        assert len(str(rejection)) < 300
        leave(replace(check, reason=str(rejection)))
        return "RejectedUpload"
    assert 0 <= record.expected <= EXPECTED_QUANTITY_LIMIT
    for seen in (prediction(3), replace(prediction(0), volume_in3=1e9, volume_error=1e-3)):
        judged = verdict.judge(seen, record, 0.02)
        assert 0 <= judged.suspicion <= 1
        known = {"expected": record.expected, "expected_volume_in3": record.volume_in3, "suspicion": judged.suspicion}
        leave(replace(check, status=judged.status, predicted=seen.count, **known))
    return "Record"
