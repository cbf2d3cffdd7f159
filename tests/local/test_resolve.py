"""`bincheck resolve` stores what the review page stores, and takes it back."""

import json

import pytest
from typer.testing import CliRunner

from local.cli import resolve as command
from local.cli.main import app
from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack
from tests.builders import image_of, metadata
from tests.functions.conftest import account, warehouse  # noqa: F401  (fixtures)


@pytest.fixture
def resolve(warehouse, monkeypatch):  # noqa: F811
    """The outcome of `bincheck resolve` for the bin BOS1/1, which shows 3 and is recorded as 5."""
    stack = Stack(Cloud.aws(), "bincheck", {"ChecksTableName": "checks", "ReviewUrl": "https://review.example"})
    monkeypatch.setattr(command, "resolve_stack", lambda _: stack)
    monkeypatch.setenv("LOGNAME", "ann")
    warehouse.drop("BOS1/bin-images/1.jpg", image_of(3))
    warehouse.drop("BOS1/metadata/1.json", metadata(5))
    return lambda *arguments: CliRunner().invoke(app, ["resolve", "BOS1/1", *arguments])


def reviews(warehouse, check=None):  # noqa: F811
    check = check or warehouse.store.find_current("BOS1/1")
    return [
        (each.kind, each.actual, each.reviewer) for each in warehouse.store.list_findings(check.subject, check.check)
    ]


@pytest.mark.parametrize(
    ("arguments", "kept", "said"),
    [
        (["--actual", "4"], ("count", 4, "ann"), "found 4: the record was wrong"),
        (["--false-alarm"], ("count", 5, "ann"), "found 5: the record was right"),
        (["--unclear"], ("unclear", None, "ann"), "the image does not show how many"),
    ],
)
def test_each_finding_is_kept_and_taken_back(resolve, warehouse, arguments, kept, said):  # noqa: F811
    assert said in resolve(*arguments).stdout
    assert reviews(warehouse) == [kept]
    assert "not reviewed any more" in resolve("--withdraw").stdout
    assert reviews(warehouse) == []
    assert warehouse.store.find_current("BOS1/1").open_list == "mismatch"
    refused = resolve("--withdraw")
    assert (refused.exit_code, "nobody has reviewed this check" in refused.stderr) == (1, True)


def test_the_last_finding_is_taken_back_first_though_the_bin_was_checked_again(resolve, warehouse):  # noqa: F811
    first = warehouse.store.find_current("BOS1/1")
    resolve("--actual", "4")
    second = warehouse.drop("BOS1/metadata/1.json", metadata(6))
    resolve("--actual", "3")
    assert "recorded 6" in resolve("--withdraw").stdout
    assert (reviews(warehouse, first), reviews(warehouse, second)) == ([("count", 4, "ann")], [])
    assert "recorded 5" in resolve("--withdraw").stdout
    assert reviews(warehouse, first) == []


def test_what_was_not_counted_has_no_unclear_image(resolve, warehouse):  # noqa: F811
    warehouse.drop("BOS1/metadata/1.json", b"[]")
    refused = resolve("--unclear")
    assert (refused.exit_code, "counted nothing" in refused.stderr) == (1, True)


@pytest.mark.parametrize("finding", [["--actual", "4"], ["--unclear"], ["--withdraw"]])
def test_json_has_the_link_of_the_check(resolve, finding):
    resolve("--actual", "5")
    assert json.loads(resolve(*finding, "--json").stdout)["link"].startswith("https://review.example/bin?bin=BOS1%2F1&")
