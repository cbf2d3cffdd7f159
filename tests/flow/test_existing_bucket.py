"""A bucket that was there before, with versions and with files that are none of ours, joined through EventBridge."""

import pytest

from tests.builders import metadata
from tests.flow.warehouse import wait_until


@pytest.fixture
def bucket(warehouse):
    """The bucket that `tests/conftest.py` names to the stack, and that its owner makes and opens."""
    s3, name = warehouse.stack.cloud.s3(), warehouse.stack.outputs["UploadsBucketName"]
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}})
    return name


def test_uploads_and_removals_in_an_existing_bucket_are_checked(warehouse, bucket):
    s3 = warehouse.stack.cloud.s3()
    id = "50%25 + é"

    def put(path, content):
        return s3.put_object(Bucket=bucket, Key=f"{warehouse.site}/{path}", Body=content)["VersionId"]

    def current():
        check = warehouse.stack.checks.find_current(f"{warehouse.site}/{id}")
        return check and (check.status, check.expected)

    put("payroll/2026.csv", b"none of ours")
    image = put(f"bin-images/{id}.jpg", warehouse.image_of(3))
    record = put(f"metadata/{id}.json", metadata(5))
    wait_until(lambda: current() == ("mismatch", 5), "the pair is checked")
    (check,) = warehouse.checks(id)
    assert (check.check, check.image) == (f"{image}/{record}", f"s3://{bucket}/{warehouse.site}/bin-images/{id}.jpg")
    assert warehouse.alerts(1) == [(id, "mismatch")]

    corrected = put(f"metadata/{id}.json", metadata(3))
    wait_until(lambda: current() == ("match", 3), "the corrected pair is checked")
    assert warehouse.alerts(1) == [(id, "resolved")]

    s3.delete_object(Bucket=bucket, Key=f"{warehouse.site}/metadata/{id}.json", VersionId=corrected)
    wait_until(lambda: current() == ("mismatch", 5), "the record before counts again")
    assert warehouse.alerts(1) == [(id, "mismatch")]
    warehouse.settle()
    assert warehouse.checks("payroll/2026.csv") == []
    assert warehouse.dead_letters == 0
