"""The two families of failure: a retry cannot help (`RejectedUpload`), or it can (`RetryLater`)."""


class RejectedUpload(Exception):
    """The upload is invalid. The message says what, where and how to correct it. It is stored, not retried."""


class CannotWithdraw(Exception):
    """A review cannot be withdrawn. The message says why, and what to do instead."""


class RetryLater(Exception):
    """A service failed. The message returns to the queue, and after five attempts goes to the dead-letter queue."""
