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
    """Serves `grpc.health.v1.Health` for these names, all of one status: serving, until told otherwise."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._serving = True
        self._stopped = False
        self._changed = asyncio.Event()

    def tell(self, *, serving: bool) -> None:
        """Say from now on, to the watchers too, whether there is an engine to serve with."""
        if serving is not self._serving and not self._stopped:
            self._serving = serving
            self._change()

    def stop(self) -> None:
        """Say for good that nothing is served, to the watchers too, and end their streams."""
        self._serving, self._stopped = False, True
        self._change()

    async def Check(self, request: pb.HealthCheckRequest, context: Any) -> pb.HealthCheckResponse:  # noqa: N802
        """Return a name's status now."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return self._answer(request)

    async def Watch(self, request: pb.HealthCheckRequest, context: Any) -> AsyncIterator[pb.HealthCheckResponse]:  # noqa: N802
        """Yield a name's status now, and once more whenever it changes, until the server stops."""
        while True:
            changed, stopped = self._changed, self._stopped
            yield self._answer(request)
            if stopped:
                return
            await changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _answer(self, request: pb.HealthCheckRequest) -> pb.HealthCheckResponse:
        if request.service not in self._names:
            return pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVICE_UNKNOWN)
        status = pb.HealthCheckResponse.SERVING if self._serving else pb.HealthCheckResponse.NOT_SERVING
        return pb.HealthCheckResponse(status=status)
