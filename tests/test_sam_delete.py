"""`sam delete` of the pinned version: the application policy grants each call that it makes of CloudFormation."""

import fnmatch
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from local.embedded.sam import ROOT, clean_environment, command
from tests.template import ACCOUNT, render
from tests.test_permissions import listed

ANSWER = '<{name}Response xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><{name}Result>{result}</{name}Result></{name}Response>'
STACK = """<Stacks><member><StackName>bincheck</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2026-03-01T00:00:00Z</CreationTime><EnableTerminationProtection>false</EnableTerminationProtection></member></Stacks>"""
ABSENT = """<ErrorResponse><Error><Code>ValidationError</Code><Message>Stack with id {stack} does not exist</Message>
</Error></ErrorResponse>"""
TEMPLATE = f"<TemplateBody>{json.dumps({'Resources': {}})}</TemplateBody>"


@contextmanager
def cloudformation() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A CloudFormation with the stack bincheck alone: its address, and the calls as actions and names of stacks."""
    calls: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            name, stack = asked["Action"][0], asked["StackName"][0]
            known = stack == "bincheck" and ("DeleteStack", stack) not in calls
            calls.append((name, stack))
            result = {"DescribeStacks": STACK, "GetTemplate": TEMPLATE}.get(name, "")
            body = (ANSWER.format(name=name, result=result) if known else ABSENT.format(stack=stack)).encode()
            self.send_response(200 if known else 400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", calls
    finally:
        server.shutdown()
        server.server_close()


def granted(action: str, stack: str) -> bool:
    rendered = render({}, stack="bincheck-permissions", name="deploy/permissions.yaml")["Resources"]
    arn = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/{stack}/id"
    return any(
        f"cloudformation:{action}" in listed(statement["Action"])
        and any(fnmatch.fnmatchcase(arn, resource) for resource in listed(statement["Resource"]))
        for statement in rendered["ApplicationPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    )


def test_whoever_has_the_application_policy_may_do_all_that_sam_delete_does() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    with cloudformation() as (url, calls):
        done = subprocess.run(
            command(["delete", "--stack-name", "bincheck", "--no-prompts"]),
            cwd=ROOT,
            env=clean_environment() | keys | {"AWS_ENDPOINT_URL": url},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    assert ("DeleteStack", "bincheck") in calls
    assert len({stack for _, stack in calls}) > 1, "it looks for stacks of its own"
    assert [call for call in calls if not granted(*call)] == []
