"""One embedded cloud, with permissions enforced, for all tests that need a deployed stack.

`make test` runs tests in three processes. Those that build and deploy, and often wait, stay together in one of them.
"""

import os
import signal
from functools import cache

import botocore.session
import pytest
from hypothesis import settings

# The tests see neither the account nor the terminal of whoever runs them, nor that GitHub does (typer colours then).
OUTSIDE = ("AWS_", "BOTO", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS")
for name in [name for name in os.environ if name.startswith(OUTSIDE)]:
    del os.environ[name]
os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
# Powertools reads these once, as the first test imports a function.
os.environ |= {"POWERTOOLS_METRICS_NAMESPACE": "bincheck", "POWERTOOLS_SERVICE_NAME": "test"}
for name in ("no_proxy", "NO_PROXY"):  # a company's proxy does not reach the servers of the tests
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))

# All sessions of the tests share what botocore has read of the services, which is most of the time of a new client.
botocore.session.create_loader = cache(botocore.session.create_loader)

# A shell lets its background jobs ignore Ctrl-C, and the commands that tests start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("soak", max_examples=3_000)
DEPLOYING = ("docker", "emulator", "flow", "resilience")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent.name in DEPLOYING:
            item.add_marker(pytest.mark.xdist_group("deploying"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield  # what a test logged: pytest-xdist fails at text that is no Unicode
    report.sections = [(title, text.encode(errors="backslashreplace").decode()) for title, text in report.sections]
    return report


@pytest.fixture(scope="session")
def endpoint():
    from tests.flow.endpoint import ScriptableEndpoint  # here, so that a unit test loads no emulator

    endpoint = ScriptableEndpoint()
    yield endpoint
    endpoint.down()


@pytest.fixture(scope="session")
def cloud(endpoint, tmp_path_factory):
    from local.embedded.cloud import EmbeddedCloud

    parameters = {"ReviewPage": "yes", "UploadsBucket": "acme-robots"}
    cloud = EmbeddedCloud(tmp_path_factory.mktemp("cloud"), endpoint.url, parameters)
    try:
        cloud.up()
        yield cloud
    finally:
        cloud.down()


@pytest.fixture(scope="session")
def stack(cloud):
    return cloud.stack()
