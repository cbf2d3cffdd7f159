"""Finds endpoints by name. Imports boto3 only, because evaluation containers have no SageMaker SDK."""

from typing import Any


def find_endpoint(sagemaker: Any, endpoint: str) -> dict[str, Any] | None:
    """The answer of DescribeEndpoint; None when there is no such endpoint."""
    pages = sagemaker.get_paginator("list_endpoints").paginate(NameContains=endpoint)
    if not any(found["EndpointName"] == endpoint for page in pages for found in page["Endpoints"]):
        return None
    return dict(sagemaker.describe_endpoint(EndpointName=endpoint))
