"""Addresses of objects in S3. Pure code."""

from dataclasses import dataclass

SCHEME = "s3://"


class InvalidAddress(ValueError):
    """The text is no address of S3."""


@dataclass(frozen=True)
class S3Address:
    """A bucket, and a key or the beginning of keys in it; `key` may be empty.

    A key may hold any character, `#`, `?` and `%` too, so an address is no URL: nothing in it is decoded.
    """

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "S3Address":
        """Read `s3://bucket[/key]`. Raises InvalidAddress if `text` has another form."""
        bucket, _, key = text.removeprefix(SCHEME).partition("/")
        if not is_s3_address(text) or not bucket:
            raise InvalidAddress(f"{text} is not s3://bucket[/prefix]")
        return cls(bucket, key)

    @property
    def folder(self) -> "S3Address":
        """The same address with a slash at the end of the key, unless it names the whole bucket."""
        return S3Address(self.bucket, self.key if self.key.endswith("/") or not self.key else f"{self.key}/")

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


def is_s3_address(text: str) -> bool:
    return text.startswith(SCHEME)
