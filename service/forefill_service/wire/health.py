"""gRPC's health service, for load balancers.

The library's own service leaves Watch streams open when the server stops, so the stop takes its whole grace period, and
forgets the other watchers of a name when one of them leaves.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc


class Health(health_pb2_grpc.HealthServicer):
    """Serves `grpc.health.v1.Health` for these names, all with the same status: serving, until `report` changes it."""

    def __init__(self, *names: str) -> None:
        self._names = names
        self._serving = True
        self._stopped = False
        self._changed = asyncio.Event()

    def report(self, serving: bool) -> None:
        """Set the status and report it to the watchers, unless the server is stopping."""
        if serving is not self._serving and not self._stopped:
            self._serving = serving
            self._change()

    def stop(self) -> None:
        """Report for good that nothing is served, and end the watchers' streams."""
        self._serving, self._stopped = False, True
        self._change()

    async def Check(self, request: pb.HealthCheckRequest, context: Any) -> pb.HealthCheckResponse:  # noqa: N802
        """Return the current status of a name."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return self._answer(request)

    async def Watch(self, request: pb.HealthCheckRequest, context: Any) -> AsyncIterator[pb.HealthCheckResponse]:  # noqa: N802
        """Yield the status of a name now and after each change, until the server stops."""
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
