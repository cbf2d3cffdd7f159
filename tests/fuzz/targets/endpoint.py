"""A call of the endpoint: `<method> <path>`, headers, an empty line, and the body, in lines as they come.

A header `hang-up` closes the connection within the body. The network itself is left out: what it sees has always the
same form.
"""

import asyncio
import json
import warnings

import numpy as np

from model.app import create_app
from tests.fuzz.targets.image import TOKENS as IMAGE_TOKENS

MEMORY_MB = 1536
"""As much as for an image, and the network."""
TOKENS = (
    *(
        b"POST",
        b"GET",
        b"/invocations",
        b"/ping",
        b"\n",
        b"\n\n",
        b": ",
        b"content-length: " + b"9" * 5000,
        b"hang-up: ",
    ),
    *(
        b"content-type: image/png\n",
        b"content-type: text/html\n",
        b"host: [",
        b"content-length: -1\n",
        b"?",
        b"%00",
        b"//",
        b"\xb2",
    ),
    *IMAGE_TOKENS,
)
ANSWERS = {200, 400, 404, 405, 413, 415}
warnings.simplefilter("ignore")

app = create_app(concurrency=1)
predictor = app.routes[1].endpoint.__self__._predictor
predictor.look = lambda pixels: (np.zeros(len(predictor.labels)), 0.0)
loop = asyncio.new_event_loop()


def feed(data: bytes) -> str:
    status, body = loop.run_until_complete(_call(data))
    assert status in ANSWERS, (status, body)
    answer = json.loads(body)
    assert status == 200 or 0 < len(answer["reason"].encode()) < 1000
    return str(status)


async def _call(data):
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, path = first.decode(errors="replace").partition(" ")
    headers = [tuple(part.strip() for part in line.lower().partition(b":")[::2]) for line in lines]
    scope = {"type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode()}
    scope |= {"query_string": b"", "headers": headers, "scheme": "http", "server": ("127.0.0.1", 8080), "root_path": ""}
    third = len(body) // 3 + 1
    messages = [
        {"type": "http.request", "body": body[at : at + third], "more_body": at + third < len(body)}
        for at in range(0, len(body) or 1, third)
    ]
    if any(name == b"hang-up" for name, _ in headers):
        messages[-1] = {"type": "http.disconnect"}
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
