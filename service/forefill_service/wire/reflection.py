"""gRPC reflection, for those who may ask which services there are."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2 as pb

from ..access.caller import Credentials, Permission
from ..access.gate import Gate
from ..errors import Reason, Refusal
from ..settings import Settings
from .statuses import abort

MOST_STREAMS = 16
"""Open at once: tools ask and leave."""


class Reflection:
    """Serves gRPC reflection of these services and of itself to callers with the permission."""

    def __init__(self, gate: Gate, settings: Settings, *services: str) -> None:
        self._servicer: Any = reflection.aio.ReflectionServicer(
            (*services, health.SERVICE_NAME, reflection.SERVICE_NAME)
        )
        self._gate = gate
        self._settings = settings
        self._streams = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register with a server."""
        add: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
        add(self, server)

    async def ServerReflectionInfo(  # noqa: N802 - gRPC's name
        self, request_iterator: AsyncIterator[pb.ServerReflectionRequest], context: Any
    ) -> AsyncIterator[pb.ServerReflectionResponse]:
        """Answer each question of one stream."""
        try:
            await self._gate.admit(credentials_of(context, self._settings), Permission.REFLECTION)
            if self._streams >= MOST_STREAMS:
                raise Refusal(Reason.RATE_LIMITED, "too many ask for reflection")
        except Refusal as refusal:
            await abort(context, refusal)
        self._streams += 1
        try:
            async for response in self._servicer.ServerReflectionInfo(request_iterator, context):
                yield response
        finally:
            self._streams -= 1


def credentials_of(context: grpc.aio.ServicerContext[Any, Any], settings: Settings) -> Credentials:
    """Return what a stream brings to prove who opens it."""
    identity = {name: list(values) for name, values in context.auth_context().items()}
    return Credentials.of(list(context.invocation_metadata() or ()), identity, settings.access.tenant_metadata_key)
