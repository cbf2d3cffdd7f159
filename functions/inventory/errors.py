"""The two families of failure: retrying cannot help (`RejectedUpload`), or it can (`RetryLater`)."""


class RejectedUpload(Exception):
    """The upload itself is wrong. Its message says what, where and how to cure it; it is recorded, not retried."""


class RetryLater(Exception):
    """Something around the upload failed. The message goes back to the queue, and in the end to the dead letters."""
