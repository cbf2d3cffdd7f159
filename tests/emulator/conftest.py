import pytest

from local.cloud import EmbeddedCloud


@pytest.fixture(scope="session")
def embedded(tmp_path_factory):
    cloud = EmbeddedCloud(tmp_path_factory.mktemp("embedded-cloud"))
    cloud.up()
    yield cloud
    cloud.down()


@pytest.fixture(scope="session")
def stack(embedded):
    return embedded.stack()
