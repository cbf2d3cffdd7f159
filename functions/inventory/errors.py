"""The two families of failure: retrying cannot help (`RejectedUpload`), or it can (`RetryLater`)."""


class RejectedUpload(Exception):
    """The upload itself is wrong. Its message says what, where and how to cure it; it is recorded, not retried."""


class CannotWithdraw(Exception):
    """A review cannot be taken back; the message says why and what to do instead."""


class RetryLater(Exception):
    """Something around the upload failed. The message goes back to the queue, and in the end to the dead letters."""
