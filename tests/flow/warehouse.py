"""What a robot does to the inbox, and what a person sees of it."""

import io
import itertools
import time
from collections.abc import Callable

from PIL import Image

from inventory.check import Check
from local.demo import receive_alerts
from local.stack.deployed_stack import Stack
from local.stack.queues import depth
from local.stack.subscription import Subscription
from tests.builders import metadata
from tests.flow.endpoint import ScriptableEndpoint

PATIENCE_S = 40.0
_numbers = itertools.count()


class Warehouse:
    """One site of the inbox, so that tests on one cloud do not meet."""

    def __init__(self, site: str, stack: Stack, endpoint: ScriptableEndpoint, alerts: Subscription) -> None:
        self.site = site
        self.stack = stack
        self.endpoint = endpoint
        self._alerts = alerts
        self._s3 = stack.cloud.s3()

    def image_of(self, count: int, kind: str = "JPEG") -> bytes:
        """An image unlike any other, which the endpoint counts as `count`."""
        image = io.BytesIO()
        Image.new("RGB", (64, 48)).save(image, kind)
        image.write(f" image {next(_numbers)}".encode())
        return self.endpoint.tell(image.getvalue(), count)

    def photograph(self, id: str, image: bytes, extension: str = "jpg") -> None:
        self.upload(f"bin-images/{id}.{extension}", image)

    def report(self, id: str, expected: object) -> None:
        self.upload(f"metadata/{id}.json", expected if isinstance(expected, bytes) else metadata(expected))

    def upload(self, path: str, content: bytes) -> None:
        self._s3.put_object(Bucket=self.stack.inbox_bucket, Key=f"{self.site}/{path}", Body=content)

    def checks(self, id: str) -> list[Check]:
        return self.stack.checks.list_by_name(f"{self.site}/{id}")

    def check(self, id: str) -> Check:
        """The only check of a bin, once everything that was uploaded is checked."""
        self.settle()
        (check,) = self.checks(id)
        return check

    def settle(self) -> None:
        """Wait until no upload waits for its check."""
        wait_until(lambda: depth(self.stack, self.stack.inbox_queue_url) == 0, "the queue is empty")

    def alerts(self, expected: int) -> list[tuple[str, str]]:
        """Id and kind of all alerts since the last call, with whatever came beyond those expected."""
        alerts = receive_alerts(self._alerts, expected)
        return sorted((alert["bin"].removeprefix(f"{self.site}/"), alert["kind"]) for alert in alerts)

    @property
    def dead_letters(self) -> int:
        return depth(self.stack, self.stack.dead_letters_url)


def wait_until(condition: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until something holds; AssertionError when it does not come to hold."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, f"after {patience_s:.0f} s it still does not hold that {what}"
        time.sleep(0.1)
