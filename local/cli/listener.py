"""The socket of a server that a command runs."""

import socket

from local.cli.exits import fail


def listen(host: str, port: int) -> socket.socket:
    """Listen on a port; 0 for any free one. The command fails if it cannot be used."""
    try:
        listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, TypeError) as error:  # TypeError: the host is no name
        fail(
            "Port {port} of {host} cannot be used ({why}): name another with --port.",
            port=port,
            host=host,
            why=getattr(error, "strerror", None) or error,
            cause=error,
        )
    # asyncio sets this of sockets that it opens itself only. Without it a response waits 40 ms for the client's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
