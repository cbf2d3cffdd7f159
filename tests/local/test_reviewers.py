"""`bincheck up --review`: a page to review on, and a way in. tests/flow has a real user pool."""

import re
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from local.cli import up as up_command
from local.cli.main import app
from local.embedded.cloud import Status
from local.stack.deployed_stack import NotDeployed, Stack
from local.stack.reviewers import one_time_password

URL = "http://a.execute-api.localhost:1"


class UsernameExistsError(Exception):
    pass


class UserPools:
    """A pool that remembers the temporary password of each user."""

    def __init__(self) -> None:
        self.users, self.exceptions = {}, SimpleNamespace(UsernameExistsException=UsernameExistsError)

    def admin_create_user(self, **request):
        if request["Username"] in self.users:
            raise UsernameExistsError
        assert (request["UserPoolId"], request["MessageAction"]) == ("pool", "SUPPRESS")
        assert {"Name": "email_verified", "Value": "true"} in request["UserAttributes"]
        self.users[request["Username"]] = request["TemporaryPassword"]

    def admin_set_user_password(self, **request):
        assert (request["UserPoolId"], request["Permanent"]) == ("pool", False)
        self.users[request["Username"]] = request["Password"]


@pytest.fixture
def stack():
    pools = UserPools()
    return Stack(SimpleNamespace(user_pools=lambda: pools), "bincheck", {"ReviewUserPoolId": "pool", "ReviewUrl": URL})


def test_a_reviewer_gets_another_one_time_password_each_time(stack):
    first, second = one_time_password(stack, "ann@example.com"), one_time_password(stack, "ann@example.com")
    assert first != second
    assert stack.cloud.user_pools().users == {"ann@example.com": second}
    assert all(re.search(kind, first) for kind in ("[a-z]", "[A-Z]", "[0-9]", ".{14}"))


def test_a_stack_without_the_page_has_no_reviewers(stack):
    with pytest.raises(NotDeployed, match="ReviewPage=yes"):
        one_time_password(Stack(stack.cloud, "bincheck", {}), "ann@example.com")


@pytest.mark.parametrize(("option", "asked"), [("--review", True), ("--no-review", False), (None, None)])
def test_up_prints_where_and_as_whom_to_review_where_it_is_asked_for(stack, monkeypatch, tmp_path, option, asked):
    class Embedded:
        def up(self, report, *, review_page):
            assert review_page is asked
            return stack

        def status(self):
            return Status(tmp_path, None, None, None)

    monkeypatch.setattr(up_command, "embedded", Embedded)
    said = CliRunner().invoke(app, ["up", *filter(None, [option])])
    assert said.exit_code == 0, said.output
    printed = re.findall(r"Review at (\S+) as (\S+), one-time password (\S{14,})", said.output)
    assert [each[:2] for each in printed] == ([(URL, "reviewer@example.com")] if asked else [])
