"""`sam local invoke` itself, in a container, on the payloads of `events/`, with the embedded cloud behind it."""

import asyncio
import json
import os
import subprocess
import threading
from contextlib import contextmanager

import pytest

from local.embedded import sam
from local.embedded.containers import DockerUnavailable, bridge_address, relay, write_environment
from local.stack.aws import EMBEDDED_KEY, EMBEDDED_REGION

EVENTS = sam.ROOT / "events"
SAMPLES = sam.ROOT / "samples"
IMAGE = f"public.ecr.aws/lambda/python:{sam.runtime().removeprefix('python')}-x86_64"


def why_not():
    """The reason why no container of a Lambda function can run here; None when it can."""
    try:
        bridge_address()
    except DockerUnavailable as reason:
        return str(reason)
    here = subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False)
    if here.returncode != 0:
        pull = subprocess.run(["docker", "pull", "--quiet", IMAGE], capture_output=True, text=True, check=False)
        if pull.returncode != 0:
            return f"the image {IMAGE} is not here and cannot be pulled: {pull.stderr.strip()}"
    return None


@pytest.fixture(scope="module")
def invoke(request, tmp_path_factory):
    """Runs `sam local invoke` with a function and its event; answers what the function did."""
    if reason := why_not():
        pytest.skip(reason)
    stack = request.getfixturevalue("stack")
    port = int(stack.cloud.endpoint_url.rsplit(":", 1)[1])
    bridge = bridge_address()
    folder = tmp_path_factory.mktemp("sam-local")
    for key in ("bin-images/r003.jpg", "metadata/r003.json"):
        stack.cloud.s3().upload_file(str(SAMPLES / key), stack.inbox_bucket, key)
    write_environment(stack, bridge, port, folder / "environment.json")

    def invoke(function, event, stdin=None):
        arguments = [
            *("local", "invoke", function, "--template-file", str(sam.BUILD / "template.yaml"), "--event", event),
            *("--env-vars", str(folder / "environment.json"), "--skip-pull-image"),
            *("--parameter-overrides", f"Runtime={sam.runtime()}"),
        ]
        credentials = {
            "AWS_ACCESS_KEY_ID": EMBEDDED_KEY,
            "AWS_SECRET_ACCESS_KEY": EMBEDDED_KEY,
            "AWS_DEFAULT_REGION": EMBEDDED_REGION,
        }
        ran = subprocess.run(
            sam.command(arguments),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            cwd=sam.ROOT,
            env={**os.environ, **credentials},
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        return json.loads(ran.stdout.splitlines()[-1])

    with relaying(bridge, port):
        yield invoke


@contextmanager
def relaying(address, port):
    """Run the relay in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(relay(address, port), loop).result(timeout=10)
    yield
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def test_the_checker_checks_an_upload(invoke, stack):
    (check_id,) = invoke("Checker", str(EVENTS / "image-upload.json"))
    assert check_id in [check.check_id for check in stack.checks.list_by_name("r003")]


def test_the_checker_takes_the_event_that_sam_generates(invoke, stack):
    generated = subprocess.run(
        sam.command(
            ["local", "generate-event", "s3", "put", "--bucket", stack.inbox_bucket, "--key", "metadata/r003.json"]
        ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    (check_id,) = invoke("Checker", "-", stdin=generated)
    assert check_id in [check.check_id for check in stack.checks.list_by_name("r003")]


def test_the_counter_counts(invoke):
    assert invoke("Counter", str(EVENTS / "counter-call.json"))["count"] >= 0


def test_the_alerter_sends(invoke):
    assert invoke("Alerter", str(EVENTS / "alert-queue.json")) == {"batchItemFailures": []}


def test_the_watchdog_looks(invoke):
    assert invoke("Watchdog", str(EVENTS / "watchdog-schedule.json"))["alerted"] >= 0
