"""Endpoints by their name. Needs boto3 alone, as the containers that judge have it."""

from typing import Any


def find_endpoint(sagemaker: Any, endpoint: str) -> dict[str, Any] | None:
    """The answer of DescribeEndpoint, through a SageMaker client; None when there is no such endpoint."""
    pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=endpoint)
    if not any(found["EndpointName"] == endpoint for page in pages for found in page["Endpoints"]):
        return None
    return dict(sagemaker.describe_endpoint(EndpointName=endpoint))
