"""`bincheck review`: the page on which a person answers alerts."""

import getpass
import secrets
import webbrowser
from typing import Annotated
from urllib.parse import urlsplit

import typer
import uvicorn

from inventory.claims import Claims
from inventory.review_queue import ReviewQueue
from local.cli.listener import listen
from local.cli.stack_option import StackName, resolve_stack
from local.cli.terminal import out
from local.embedded.service import LOOPBACK
from local.stack.deployed_stack import Stack
from review.access import TokenAccess
from review.app import create_app
from review.desk import Desk


def review(
    stack: StackName = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 for any free port.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
) -> None:
    """Review open alerts in the browser: the image beside the record, the answer in one key. Ctrl-C ends it.

    The page listens on this machine only. The printed address signs in once. Answers are written with your AWS
    credentials, or to the embedded cloud.

    [dim]$[/] bincheck review
    [dim]$[/] bincheck review --stack bincheck --no-browser --port 8000
    """
    deployed = resolve_stack(stack)
    access = TokenAccess(getpass.getuser())
    listener = listen(LOOPBACK, port)
    url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
    app = create_app(
        desk_of(deployed),
        access,
        hosts=[LOOPBACK, "localhost"],
        images=images_origin(deployed),
        secret=secrets.token_urlsafe(32),
        https=False,
    )
    out.say("Review at {url}  (this address signs in once; Ctrl-C ends it)", url=f"{url}{access.path}")
    if browser:
        webbrowser.open(f"{url}{access.path}")
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


def desk_of(stack: Stack) -> Desk:
    """The desk of a deployed stack."""
    return Desk(stack.checks, ReviewQueue(stack.table), Claims(stack.table), stack.cloud.s3())


def images_origin(stack: Stack) -> str:
    """Where the addresses of the inbox's images point to."""
    parts = urlsplit(stack.cloud.s3().generate_presigned_url("get_object", {"Bucket": stack.inbox_bucket, "Key": "x"}))
    return f"{parts.scheme}://{parts.netloc}"
