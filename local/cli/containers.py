"""`bincheck containers`: gives containers of `sam local invoke` access to the embedded cloud."""

import asyncio
import contextlib
from urllib.parse import urlsplit

from local.cli.stack_option import embedded
from local.cli.terminal import out
from local.embedded.containers import DESKTOP_HOST, bridge_address, relay, write_environment
from local.embedded.sam import runtime
from local.stack.aws import EMBEDDED_KEY, EMBEDDED_REGION


def containers() -> None:
    """Let containers of `sam local invoke` use the embedded cloud, until Ctrl-C.

    The command writes the functions' environment to sam-local.json in the embedded cloud's folder. The option
    [bold]--config-env embedded[/] reads it from there.

    [dim]$[/] bincheck up
    [dim]$[/] bincheck containers      (keeps running; use the printed commands in another terminal)
    """
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_relay_until_interrupted())


async def _relay_until_interrupted() -> None:
    cloud = embedded()
    stack = cloud.stack()
    port = urlsplit(stack.cloud.endpoint_url or "").port
    assert port is not None, "the embedded cloud has a port"  # noqa: S101
    bridge = bridge_address()
    server = await relay(bridge, port)
    host = bridge if server else DESKTOP_HOST
    path = cloud.folder / "sam-local.json"
    write_environment(stack, host, port, path)
    credentials = f"AWS_ACCESS_KEY_ID={EMBEDDED_KEY} AWS_SECRET_ACCESS_KEY={EMBEDDED_KEY}"
    same_python = f"--parameter-overrides Runtime={runtime()}"
    out.say(
        "Containers reach the embedded cloud at http://{host}:{port}. In another terminal:\n\n"
        "  export {credentials} AWS_DEFAULT_REGION={region}\n"
        "  sam build {same_python}\n"
        "  sam local invoke Checker -e events/image-upload.json {same_python} --config-env embedded\n\n"
        "Ctrl-C ends it.",
        host=host,
        port=port,
        credentials=credentials,
        region=EMBEDDED_REGION,
        same_python=same_python,
    )
    if server is None:
        return
    async with server:
        await server.serve_forever()
