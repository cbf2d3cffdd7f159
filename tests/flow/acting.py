"""A function's own code and credentials, in the embedded cloud but in the process of the test."""

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import boto3
import pytest

from local.stack.aws import EMBEDDED_REGION
from local.stack.deployed_stack import Stack

AUTHORIZED_AS = {"HeadObject": "GetObject", "ListObjectsV2": "ListBucket"}


class Actor:
    """A deployed function: its role's credentials, its environment, and which actions its code was seen to call."""

    def __init__(self, stack: Stack, function: str) -> None:
        cloud = stack.cloud
        self.deployed = cloud.functions().get_function_configuration(
            FunctionName=stack.outputs[f"{function}FunctionName"]
        )
        sts = cloud.session.client("sts", endpoint_url=cloud.endpoint_url)
        self.credentials = sts.assume_role(RoleArn=self.deployed["Role"], RoleSessionName="test")["Credentials"]
        self.used: set[str] = set()
        self._url = cloud.endpoint_url or ""
        self._plain = self._session()

    def client(self, service: str) -> Any:
        return self._plain.client(service, endpoint_url=self._url)

    def code(self, patch: pytest.MonkeyPatch, **settings: str) -> ModuleType:
        """The function's module, loaded as its process would load it, with some settings changed."""
        given = {"AWS_ENDPOINT_URL": self._url, "NO_PROXY": "127.0.0.1", "POWERTOOLS_TRACE_DISABLED": "true"}
        for name, value in (self.deployed["Environment"]["Variables"] | given | settings).items():
            patch.setenv(name, value)
        session = self._session()
        session.events.register("before-parameter-build", self._note)
        for call in ("GetObject", "HeadObject"):
            session.events.register(f"after-call.s3.{call}", self._note_missing)
        patch.setattr(boto3, "DEFAULT_SESSION", session)
        return importlib.reload(importlib.import_module(self.deployed["Handler"].rpartition(".")[0]))

    def _session(self) -> boto3.Session:
        return boto3.Session(
            self.credentials["AccessKeyId"],
            self.credentials["SecretAccessKey"],
            self.credentials["SessionToken"],
            EMBEDDED_REGION,
        )

    def _note(self, params: Any, model: Any, **_: Any) -> None:
        service = model.service_model.signing_name
        if model.name == "TransactWriteItems":  # authorized as the writes in it
            self.used |= {f"dynamodb:{kind}Item" for write in params["TransactItems"] for kind in write}
        else:
            self.used.add(f"{service}:{AUTHORIZED_AS.get(model.name, model.name)}")

    def _note_missing(self, parsed: Any, **_: Any) -> None:
        # S3 says "forbidden" instead to whoever may not list the bucket.
        if parsed.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
            self.used.add("s3:ListBucket")


@contextmanager
def without(stack: Stack, function: str, statement: str) -> Iterator[None]:
    """Take one statement out of the policies of a function's role for a while."""
    iam = stack.cloud.session.client("iam", endpoint_url=stack.cloud.endpoint_url)
    deployed = stack.cloud.functions().get_function_configuration(FunctionName=stack.outputs[f"{function}FunctionName"])
    role = deployed["Role"].rsplit("/", 1)[-1]

    def put(name: str, document: Any) -> None:
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))

    changed = {}
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        kept = [given for given in document["Statement"] if given.get("Sid") != statement]
        if len(kept) < len(document["Statement"]):
            changed[name] = document
            iam.delete_role_policy(RoleName=role, PolicyName=name)
            if kept:
                put(name, {**document, "Statement": kept})
    assert changed, f"no policy of {role} has a statement {statement}"
    try:
        yield
    finally:
        for name, document in changed.items():
            put(name, document)


@contextmanager
def without_notifications(stack: Stack) -> Iterator[None]:
    """Have nobody told of uploads for a while, so that the deployed Checker leaves them alone."""
    s3, bucket = stack.cloud.s3(), stack.inbox_bucket
    before = s3.get_bucket_notification_configuration(Bucket=bucket)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    try:
        yield
    finally:
        told = {name: value for name, value in before.items() if name != "ResponseMetadata"}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=told)  # type: ignore[arg-type]
