"""The endpoint server, seen by the client that the functions use."""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager

import boto3
import pytest
import uvicorn
from botocore.config import Config
from botocore.exceptions import ClientError
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from local.embedded.sagemaker_runtime import PAYLOAD_LIMIT_BYTES, Endpoint, create_app


def container(load=None):
    async def invocations(request):
        body = await request.body()
        if body == b"bad image":
            return JSONResponse({"reason": "no image"}, 400)
        if body == b"crash":
            raise RuntimeError("out of memory")
        if body == b"slow":
            await asyncio.sleep(5)
        names = ("content-type", "accept", "x-amzn-sagemaker-custom-attributes")
        seen = {"bytes": len(body), **{name: request.headers.get(name) for name in names}}
        return JSONResponse(seen, headers={"X-Amzn-SageMaker-Custom-Attributes": "said=hello"})

    @asynccontextmanager
    async def lifespan(_):
        if load:
            await load()
        yield

    return Starlette(routes=[Route("/invocations", invocations, methods=["POST"])], lifespan=lifespan)


async def never():
    await asyncio.Event().wait()


async def broken():
    raise OSError("counter.onnx is missing")


@pytest.fixture(scope="module")
def runtime():
    listener = socket.create_server(("127.0.0.1", 0))
    app = create_app(
        Endpoint("counter", container(), timeout_s=0.5),
        Endpoint("loading", container(never)),
        Endpoint("broken", container(broken)),
    )
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield boto3.client(
        "sagemaker-runtime",
        endpoint_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    server.should_exit = True
    thread.join()


def refusal(runtime, body=b"image", endpoint="counter"):
    with pytest.raises(ClientError) as refused:
        runtime.invoke_endpoint(EndpointName=endpoint, Body=body, ContentType="image/jpeg")
    return refused.value.response


def test_the_container_sees_the_call_and_the_caller_its_answer(runtime):
    answer = runtime.invoke_endpoint(
        EndpointName="counter",
        Body=b"image",
        ContentType="image/png",
        Accept="application/json",
        CustomAttributes="trace=1",
        InferenceId="check-1",
    )
    assert answer["Body"].read() == (
        b'{"bytes":5,"content-type":"image/png","accept":"application/json",'
        b'"x-amzn-sagemaker-custom-attributes":"trace=1"}'
    )
    assert answer["ContentType"] == "application/json"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "said=hello"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-sagemaker-inference-id"] == "check-1"
    assert answer["ResponseMetadata"]["RequestId"]


def test_an_unknown_endpoint_is_a_validation_error(runtime):
    refused = refusal(runtime, endpoint="nobody")
    assert refused["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint nobody of account 000000000000 not found.",
    }
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("body", "status", "message", "side"),
    [(b"bad image", 400, '{"reason":"no image"}', "client"), (b"crash", 500, "Internal Server Error", "server")],
)
def test_what_the_container_refuses_is_a_model_error_with_its_own_words(runtime, body, status, message, side):
    refused = refusal(runtime, body)
    assert refused["Error"]["Code"] == "ModelError"
    assert f"Received {side} error ({status}) from primary" in refused["Error"]["Message"]
    assert (refused["OriginalStatusCode"], refused["OriginalMessage"]) == (status, message)
    assert refused["LogStreamArn"].endswith("/aws/sagemaker/Endpoints/counter")
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 424


def test_a_container_that_takes_too_long_is_a_model_error(runtime):
    refused = refusal(runtime, b"slow")
    assert refused["Error"]["Code"] == "ModelError"
    assert "timed out" in refused["OriginalMessage"]


def test_the_payload_limit_is_sagemakers(runtime):
    largest = bytes(PAYLOAD_LIMIT_BYTES)
    runtime.invoke_endpoint(EndpointName="counter", Body=largest, ContentType="image/jpeg")
    refused = refusal(runtime, largest + b"!")
    assert refused["Error"]["Code"] == "ValidationError"
    assert "oversize body" in refused["Error"]["Message"]


def test_while_the_model_loads_callers_are_told_to_come_back(runtime):
    refused = refusal(runtime, endpoint="loading")
    assert refused["Error"]["Code"] == "ModelNotReadyException"
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_a_model_that_cannot_load_says_why(runtime):
    assert "counter.onnx is missing" in refusal(runtime, endpoint="broken")["Error"]["Message"]
