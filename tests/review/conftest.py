"""Reviewers at their browsers: the page of a warehouse in moto, without a network."""

import threading
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.client import BaseClient
from starlette.testclient import TestClient

from inventory.bins import Bin
from inventory.check_items import is_check, read_check
from inventory.claims import Claims
from inventory.review_queue import ReviewQueue
from review.access import TokenAccess
from review.app import create_app
from review.desk import Desk
from tests.builders import image_of, metadata
from tests.functions.conftest import account, warehouse  # noqa: F401
from tests.review.html import Page

HOST = "http://localhost"


class Browser:
    """A reviewer's browser, signed in with the token of an application of its own."""

    def __init__(self, desk: Desk, reviewer: str) -> None:
        self.access = TokenAccess(reviewer)
        app = create_app(desk, self.access, ["localhost"], "https://images.test", secret=reviewer, https=False)
        self.client = TestClient(app, base_url=HOST)
        self.client.get(self.access.path)

    def get(self, path: str, status: int = 200) -> Page:
        return self._page(self.client.get(path), status)

    def press(self, page: Page, name: str, status: int = 200, **fields: str) -> Page:
        """Press a button or follow a link, by its words."""
        address, form = page.action(name)
        if form is None:
            return self.get(address, status)
        return self._page(self.client.post(address, data=form | fields), status)

    def _page(self, response, status: int) -> Page:
        assert response.status_code == status, response.text
        return Page(response.text, str(response.url).removeprefix(HOST))


class Office:
    """A warehouse with bins to review, and reviewers."""

    def __init__(self, warehouse) -> None:  # noqa: F811
        self.warehouse = warehouse
        self.structures: list = []
        self.desk = Desk(
            warehouse.store,
            ReviewQueue(warehouse.table),
            Claims(warehouse.table),
            warehouse.s3,
            now=lambda: warehouse.clock,
        )

    def reviewer(self, name: str = "ann") -> Browser:
        return Browser(self.desk, name)

    def drop(self, bin: str, shown: int = 3, recorded: int = 5, record: bytes = b""):
        """A check of a bin with an image that shows so many, and a record that says so many or is `record`."""
        subject = Bin.named(bin)
        self.warehouse.drop(subject.keys("metadata")[0], record or metadata(recorded))
        return self.warehouse.drop(subject.keys("image")[0], image_of(shown))

    def rename(self, check, name: str):
        """The check, with its bin called by a name that moto takes for no key."""
        bin = Bin.named(name)
        for item in self.warehouse.store._items_of(check.subject):
            renamed = {**item, "bin": bin.partition, "site": bin.site}
            if is_check(item):
                renamed["check_id"] = read_check(renamed).check_id
            self.warehouse.table.put_item(Item=renamed)
            self.warehouse.table.delete_item(Key={"bin": check.bin, "check": item["check"]})
        return self.warehouse.store.find(bin, check.check)

    def findings(self, check):
        return self.warehouse.store.list_findings(check.subject, check.check)

    def found(self, check):
        """What people found in a check: the counts and None, in their order."""
        return [finding.actual for finding in self.findings(check)]


def bin_of(page: Page) -> str:
    """The bin whose page it is."""
    return parse_qs(urlsplit(page.path).query)["bin"][0]


@pytest.fixture
def office(warehouse, monkeypatch):  # noqa: F811
    call, lock = BaseClient._make_api_call, threading.Lock()

    def one_at_a_time(*arguments):  # moto's tables bear no two threads
        with lock:
            return call(*arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", one_at_a_time)
    return Office(warehouse)


@pytest.fixture
def ann(office):
    return office.reviewer("ann")
