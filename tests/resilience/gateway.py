"""A gateway between the functions and the embedded cloud, in which their calls go wrong.

It knows the process behind each connection, so it can kill the one function that makes a call: before the call
reaches the cloud, or after it took effect and before the function learns of it.
"""

import asyncio
import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

import psutil
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, web

from tests.resilience.faults import KILLED, KILLED_BEFORE, SLOW_S, Call, Fault, Faults, Target, call

SILENCE_S = 15.0
"""Longer than the Checker waits for an endpoint."""
BODY_LIMIT_BYTES = 16 * 2**20
NOT_PASSED_ON = {"content-length", "transfer-encoding", "connection", "date", "server"}


class FaultyGateway:
    """Passes calls on to the cloud at `url`, or has them go wrong; functions descend from the process `cloud_pid`.

    `puts` counts how often each check was put, `alerted` the alerts that were published, `unconfirmed` those of them
    that their sender did not learn of or could not remember, and `most_counts_at_once` the calls to the endpoint that
    were under way together.
    """

    def __init__(self, url: str, cloud_pid: int, faults: Faults, cursed: Collection[str] = ()) -> None:
        self.puts: Counter[tuple[str, str]] = Counter()
        self.calls: Counter[Target] = Counter()
        self.alerted = 0
        self.unconfirmed = 0
        self.most_counts_at_once = 0
        self.url = ""
        self._cloud_url = url
        self._cloud_pid = cloud_pid
        self._faults = faults
        self._cursed = cursed
        self._counting = 0
        self._committed: set[str] = set()
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "FaultyGateway":
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        application = web.Application(client_max_size=BODY_LIMIT_BYTES)
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, auto_decompress=False, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        async with ClientSession(
            auto_decompress=False, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=90)
        ) as self._session:
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._ended.wait()
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        made = call(request.path, request.headers, body)
        self.calls[made.target] += 1
        if made.target is not Target.COUNT:
            return await self._answer(request, made)
        self._counting += 1
        self.most_counts_at_once = max(self.most_counts_at_once, self._counting)
        try:
            return await self._answer(request, made)
        finally:
            self._counting -= 1

    async def _answer(self, request: web.Request, made: Call) -> web.StreamResponse:
        fault = self._faults.draw(made)
        if made.target is Target.COUNT and hashlib.md5(made.body).hexdigest() in self._cursed:
            fault = self._faults.count(Fault.CURSED)
        if fault in KILLED_BEFORE:
            await self._kill(request)
        if fault is Fault.SILENT:
            await _await_hanging_up(request)
        if fault is Fault.SLOW:
            await asyncio.sleep(self._faults.slow.uniform(*SLOW_S))
        if fault in KILLED_BEFORE or fault in (Fault.SILENT, Fault.CUT_OFF):
            return _hang_up(request)
        if fault in REFUSALS:
            if made.target is Target.REMEMBER and made.is_last:
                self.unconfirmed += 1
            return REFUSALS[fault](made)
        answer = await self._pass_on(request, made)
        if fault in KILLED:
            await self._kill(request)
        if fault in EFFECTIVE:
            _hang_up(request)
        if made.target is Target.PUBLISH and answer.status == 200 and _is_gone(request):
            self.unconfirmed += 1
        return answer

    async def _pass_on(self, request: web.Request, made: Call) -> web.Response:
        url = f"{self._cloud_url}{request.rel_url}"
        async with self._session.request(request.method, url, headers=request.headers, data=made.body) as answer:
            content = await answer.read()
        if answer.status == 200:
            self._note(made)
        headers = [(name, value) for name, value in answer.headers.items() if name.lower() not in NOT_PASSED_ON]
        return web.Response(body=content, status=answer.status, headers=headers)

    def _note(self, made: Call) -> None:
        if made.target is Target.PUBLISH:
            self.alerted += 1
        if made.target is Target.COMMIT and made.invocation not in self._committed:
            self._committed.add(made.invocation)
            self.puts.update(made.checks)

    async def _kill(self, request: web.Request) -> None:
        assert request.transport
        await asyncio.to_thread(_kill_owner_of, request.transport.get_extra_info("peername")[1], self._cloud_pid)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport:
        request.transport.abort()
    return web.Response()


async def _await_hanging_up(request: web.Request) -> None:
    deadline = time.monotonic() + SILENCE_S
    while not _is_gone(request) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)


def _is_gone(request: web.Request) -> bool:
    """Whether the caller no longer waits for an answer."""
    return request.transport is None or request.transport.is_closing()


def _sagemaker(status: int, kind: str, message: str, **members: object) -> web.Response:
    return web.json_response({"Message": message, **members}, status=status, headers={"x-amzn-ErrorType": kind})


def _model_error(_: Call) -> web.Response:
    return _sagemaker(
        424, "ModelError", "Received server error (500)", OriginalStatusCode=500, OriginalMessage="broken"
    )


def _dynamodb(kind: str, **members: object) -> web.Response:
    error = {"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": "a fault of the soak", **members}
    return web.json_response(error, status=400, content_type="application/x-amz-json-1.0")


def _cancelled(made: Call, code: str) -> web.Response:
    reasons = [{"Code": code, "Message": "a fault of the soak"}, *({"Code": "None"} for _ in made.actions[1:])]
    return _dynamodb("TransactionCanceledException", CancellationReasons=reasons)


def _table_throttled(made: Call) -> web.Response:
    if made.actions:
        return _cancelled(made, "ThrottlingError")
    return _dynamodb("ProvisionedThroughputExceededException")


def _table_conflict(made: Call) -> web.Response:
    if made.actions:
        return _cancelled(made, "TransactionConflict")
    return _dynamodb("TransactionConflictException")


def _topic_broken(_: Call) -> web.Response:
    error = "<ErrorResponse><Error><Type>Receiver</Type><Code>InternalFailure</Code></Error></ErrorResponse>"
    return web.Response(text=error, status=500, content_type="text/xml")


def _queue_broken(_: Call) -> web.Response:
    error = {"__type": "com.amazonaws.sqs#InternalFailure", "message": "a fault of the soak"}
    return web.json_response(error, status=500, content_type="application/x-amz-json-1.0")


EFFECTIVE = {*KILLED, Fault.TABLE_ANSWER_LOST, Fault.TOPIC_ANSWER_LOST, Fault.QUEUE_ANSWER_LOST}
"""Faults of calls that take effect, whose answer nobody gets."""
REFUSALS: Mapping[Fault, Callable[[Call], web.Response]] = {
    Fault.THROTTLED: lambda _: _sagemaker(429, "ThrottlingException", "Rate exceeded"),
    Fault.STORM: lambda _: _sagemaker(429, "ThrottlingException", "Rate exceeded"),
    Fault.BROKEN: lambda _: _sagemaker(500, "InternalFailure", "broken"),
    Fault.UNAVAILABLE: lambda _: _sagemaker(503, "ServiceUnavailable", "in a moment"),
    Fault.MODEL_ERROR: _model_error,
    Fault.CURSED: _model_error,
    Fault.GARBAGE: lambda _: web.json_response({"count": "many", "labels": None}),
    Fault.TABLE_THROTTLED: _table_throttled,
    Fault.TABLE_CONFLICT: _table_conflict,
    Fault.TOPIC_BROKEN: _topic_broken,
    Fault.QUEUE_BROKEN: _queue_broken,
}


def _kill_owner_of(port: int, ancestor: int) -> None:
    for process in psutil.Process(ancestor).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if any(c.laddr and c.laddr.port == port for c in process.net_connections("tcp4")):
                process.kill()
                return
    raise RuntimeError(f"no function is at port {port}")
