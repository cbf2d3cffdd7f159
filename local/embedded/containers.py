"""Gives containers of `sam local invoke` access to the embedded cloud: a relay, and the stack's environment.

The embedded cloud listens on the loopback interface only. On Linux a container cannot reach that interface, so a relay
listens on the address of Docker's bridge while the command runs. Docker Desktop needs no relay.
"""

import asyncio
import contextlib
import errno
import json
import subprocess
from ipaddress import ip_network
from pathlib import Path

from local.embedded.service import LOOPBACK
from local.errors import CommandFailed
from local.stack.deployed_stack import Stack

DESKTOP_HOST = "host.docker.internal"
CHUNK_BYTES = 65_536


class DockerUnavailable(CommandFailed):
    """No Docker engine answers, or its address is taken. The message says why."""


def bridge_address() -> str:
    """The address of this machine on Docker's default network.

    Raises:
        DockerUnavailable: Docker is missing, or its engine does not answer.
    """
    command = ["docker", "network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)  # noqa: S603
    except FileNotFoundError as error:
        raise DockerUnavailable("docker is not installed: `sam local invoke` needs it") from error
    except subprocess.CalledProcessError as error:
        raise DockerUnavailable(f"no Docker engine answers: {error.stderr.strip()}") from error
    except subprocess.TimeoutExpired as error:
        raise DockerUnavailable("the Docker engine does not answer within 20 s: is it starting?") from error
    for network in json.loads(answer.stdout) or []:
        return str(network.get("Gateway") or ip_network(network["Subnet"])[1])
    raise DockerUnavailable("Docker has no bridge network: its engine was started without one")


async def relay(address: str, port: int) -> asyncio.Server | None:
    """Forward connections to `port` of an address of this machine to the same port of the loopback interface.

    Returns None if the address is not this machine's. Then Docker Desktop runs the containers.

    Raises:
        DockerUnavailable: the port of the address is taken.
    """

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(CHUNK_BYTES):
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            cloud_reader, cloud_writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, cloud_writer), pump(cloud_reader, writer))

    try:
        return await asyncio.start_server(connect, address, port)
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise DockerUnavailable(f"{address}:{port} is taken: does `bincheck containers` run already?") from error


def write_environment(stack: Stack, host: str, port: int, path: Path) -> None:
    """Write the file for `sam local invoke --env-vars`: the deployed functions' variables, with the cloud at `host`."""
    functions = stack.cloud.functions()
    deployed: dict[str, str] = {}
    for function in ("Checker", "Counter", "Alerter", "Watchdog", "Reporter"):
        name = stack.outputs[f"{function}FunctionName"]
        deployed |= functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables = {name: value for name, value in deployed.items() if name != "POWERTOOLS_SERVICE_NAME"}
    path.write_text(json.dumps({"Parameters": {**variables, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}}, indent=2))
