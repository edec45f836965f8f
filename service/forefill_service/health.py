"""gRPC's health service, for whoever routes to this server.

The library's own leaves Watch streams open when the server stops, which holds the stop for all of its grace, and
forgets the other watchers of a name when one of them leaves.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc


class Health(health_pb2_grpc.HealthServicer):
    """Serves `grpc.health.v1.Health` for these names, all of one status: serving, until it is told to stop."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """Say from now on that nothing is served, to the watchers too, and end their streams."""
        self._stopped.set()

    async def Check(self, request: pb.HealthCheckRequest, context: Any) -> pb.HealthCheckResponse:  # noqa: N802
        """Return a name's status now."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return self._answer(request)

    async def Watch(self, request: pb.HealthCheckRequest, context: Any) -> AsyncIterator[pb.HealthCheckResponse]:  # noqa: N802
        """Yield a name's status now, and once more when the server stops."""
        yield self._answer(request)
        if not self._stopped.is_set():
            await self._stopped.wait()
            yield self._answer(request)

    def _answer(self, request: pb.HealthCheckRequest) -> pb.HealthCheckResponse:
        if request.service not in self._names:
            return pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVICE_UNKNOWN)
        stopped = self._stopped.is_set()
        return pb.HealthCheckResponse(
            status=pb.HealthCheckResponse.NOT_SERVING if stopped else pb.HealthCheckResponse.SERVING
        )
