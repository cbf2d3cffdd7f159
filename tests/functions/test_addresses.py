import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.addresses import InvalidAddress, S3Address
from tests.keys import KEYS

BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True)


@given(bucket=BUCKETS, key=KEYS | st.just(""))
def test_every_address_is_read_as_it_was_written(bucket, key):
    address = S3Address(bucket, key)
    assert S3Address.parse(str(address)) == address
    assert str(S3Address.parse(f"s3://{bucket}/{key}")) == f"s3://{bucket}/{key}"
    folder = address.folder
    assert folder == folder.folder == S3Address.parse(str(folder))
    assert folder.key in (key, f"{key}/")
    assert folder.key == "" or folder.key.endswith("/")


def test_a_bucket_alone_is_all_of_it():
    assert S3Address.parse("s3://inbox") == S3Address.parse("s3://inbox/") == S3Address("inbox", "")


@pytest.mark.parametrize(
    "text", ["", "s3:", "s3://", "s3:///key", "S3://inbox/key", " s3://inbox", "inbox/key", "https://inbox/"]
)
def test_another_form_is_refused_by_name(text):
    with pytest.raises(InvalidAddress, match="is not s3://bucket"):
        S3Address.parse(text)
