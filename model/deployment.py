"""The counter under Ray Serve, for SageMaker's managed container. No other module imports it, because only that
container has Ray.

The container's adapter answers SageMaker's `/ping` itself. It posts the body of `/invocations`, with its Content-Type,
to the root route of this application.
"""

from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from .app import Counter


@serve.deployment(name="Counter")
class CounterDeployment:
    """One replica; its threads use every core."""

    def __init__(self) -> None:
        self._counter = Counter()

    async def __call__(self, request: Request) -> Response:
        return await self._counter.invoke(request)


app = CounterDeployment.bind()  # type: ignore[attr-defined]  # the decorator, which has no types, adds it
