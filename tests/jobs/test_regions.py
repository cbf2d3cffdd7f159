"""The managed containers, in every region for which the SageMaker SDK knows one."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import boto3
import botocore.session
import pytest
from sagemaker.core import common_utils, image_uris

from tests.template import ROOT
from training.jobs.aws.account import Account
from training.jobs.aws.images import SERVING, serving_image, training_image
from training.jobs.errors import JobError
from training.jobs.settings import load
from training.jobs.steps.explore_job import image as explore_image

SETTINGS = load()
BOTO = boto3.Session()
PARTITIONS = botocore.session.get_session().get_data("partitions")["partitions"]
DEPLOY_PAGE = (ROOT / "docs" / "deploy.md").read_text()


def regions(framework: str, version: str, scope: str = "training") -> list[str]:
    """The regions in which AWS keeps a container, from the SDK's table."""
    table: Mapping[str, Any] = image_uris.config_for_framework(framework)
    return sorted(table.get(scope, table)["versions"][version]["registries"])


SERVED = regions(*SERVING)
TRAINED = regions("pytorch-amzn2023", SETTINGS.train.image)
EXPLORED = regions("autogluon", SETTINGS.explore.image)
OLDER = "2.13"
"""The version that docs/deploy.md names for the regions without the default one."""


@pytest.fixture(autouse=True, scope="module")
def _endpoints_read_once() -> Iterator[None]:
    """The SDK reads botocore's table of endpoints for every address of an image."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(common_utils, "_botocore_resolver", cache(common_utils._botocore_resolver))
        yield


@pytest.mark.parametrize("region", SERVED)
def test_each_region_has_the_containers_or_says_what_to_do(region):
    registry = f".dkr.ecr.{region}.{suffix(region)}/"
    for instance_type in (SETTINGS.deploy.instance_type, SETTINGS.evaluate.transform_instance_type, "ml.g5.xlarge"):
        assert registry in serving_image(region, instance_type)
    for settings in (SETTINGS.prepare, SETTINGS.train, SETTINGS.evaluate, SETTINGS.pipeline):
        if region in TRAINED:
            assert registry in training_image(region, settings)
        else:
            with pytest.raises(JobError, match=f"{settings.image} .* in {region}: set another `image`"):
                training_image(region, settings)
            assert registry in training_image(region, settings.model_copy(update={"image": OLDER}))
    if region in EXPLORED:
        assert registry in explore_image(region, SETTINGS.explore)
    else:
        with pytest.raises(JobError, match=f"autogluon .* in {region}"):
            explore_image(region, SETTINGS.explore)


def suffix(region: str) -> str:
    """The domain of AWS in the region's partition, from botocore's table."""
    partition = BOTO.get_partition_for_region(region)
    (outputs,) = (each["outputs"] for each in PARTITIONS if each["id"] == partition)
    return str(outputs["dnsSuffix"])


def test_the_pages_name_regions_that_have_all_containers():
    for region in ("us-east-1", "eu-west-1"):
        assert region in set(SERVED) & set(TRAINED) & set(EXPLORED)


def test_the_deploy_page_says_which_version_regions_without_the_default_one_have():
    assert f'image = "{OLDER}"' in DEPLOY_PAGE
    assert set(SERVED) <= set(regions("pytorch-amzn2023", OLDER))


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_arns_name_the_partition_of_the_region(region, partition):
    assert Account(SETTINGS.aws, boto3.Session(region_name=region)).partition == partition
