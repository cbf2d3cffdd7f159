"""`bincheck endpoint`: serves the model alone."""

from typing import Annotated

import typer
import uvicorn

from local.cli.exits import FAILED
from local.cli.listener import listen
from local.embedded.service import LOOPBACK


def endpoint(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8080,
    host: Annotated[str, typer.Option(help="The interface to listen on; 0.0.0.0 for all.")] = LOOPBACK,
) -> None:
    """Serve the model alone, as its container does: GET /ping and POST /invocations. Ctrl-C stops it.

    [dim]$[/] bincheck endpoint --port 8080
    [dim]$[/] curl --data-binary @bin.jpg -H 'Content-Type: image/jpeg' localhost:8080/invocations
    """
    listener = listen(host, port)
    try:
        uvicorn.Server(uvicorn.Config("model.app:app", log_level="warning")).run(sockets=[listener])
    except SystemExit as end:  # the model cannot be loaded: uvicorn has logged it
        raise typer.Exit(FAILED if end.code else 0) from end
