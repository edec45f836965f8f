"""The standard health service, for load balancers and probes.

    what is true of the server             "", the service, readiness     startup        liveness
    its engines are being tested           not serving                    not serving    serving
    an engine is up, however busy          serving                        serving        serving
    no engine is up now                    not serving                    serving        serving
    it drains: a signal told it to stop    not serving                    serving        serving
    it cannot recover                      not serving                    serving        not serving
    its event loop hangs                   no answer at all               no answer      no answer

It cannot recover if its engine has died or hangs for good, or if a task in its background has failed: then it ends by
itself, and an orchestrator starts it again. To restart it because a vLLM server elsewhere is down would help nobody.
"""

import asyncio
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1 import health_pb2_grpc

from ..errors import Reason, Refusal
from .statuses import abort

STARTUP, READINESS, LIVENESS = "startup", "readiness", "liveness"
MOST_WATCHES = 100
"""Watch streams of one port: a probe needs none, a load balancer one a server."""


class Condition(Enum):
    """What is true of the server, as far as health goes."""

    STARTING = auto()
    SERVING = auto()
    WITHOUT_ENGINE = auto()
    DRAINING = auto()
    LOST = auto()


_SERVING: dict[Condition, frozenset[str]] = {
    Condition.STARTING: frozenset({LIVENESS}),
    Condition.SERVING: frozenset({STARTUP, READINESS, LIVENESS}),
    Condition.WITHOUT_ENGINE: frozenset({STARTUP, LIVENESS}),
    Condition.DRAINING: frozenset({STARTUP, LIVENESS}),
    Condition.LOST: frozenset({STARTUP}),
}


class Vitals:
    """What is true of one server. `services` are asked about by name, too; it is lost once one of `fatal` is set."""

    def __init__(self, services: Sequence[str], fatal: Sequence[asyncio.Event]) -> None:
        self._probes = dict.fromkeys(("", *services), READINESS) | {
            name: name for name in (STARTUP, READINESS, LIVENESS)
        }
        self._fatal = fatal
        self._condition = self._told = Condition.STARTING
        self._changed = asyncio.Event()

    @property
    def condition(self) -> Condition:
        """What is true now."""
        return Condition.LOST if any(event.is_set() for event in self._fatal) else self._condition

    @property
    def changed(self) -> asyncio.Event:
        """The event that is set at the next change."""
        return self._changed

    def report(self, up: bool) -> None:
        """Record that the server has started, and whether an engine is up; it is asked for regularly."""
        if self._condition is not Condition.DRAINING:
            self._condition = Condition.SERVING if up else Condition.WITHOUT_ENGINE
        self._tell()

    def drain(self) -> None:
        """Record that the server stops."""
        self._condition = Condition.DRAINING
        self._tell()

    def status(self, name: str) -> Any:
        """Return the status of a name, as the wire has it."""
        if (probe := self._probes.get(name)) is None:
            return pb.HealthCheckResponse.SERVICE_UNKNOWN
        serving = probe in _SERVING[self.condition]
        return pb.HealthCheckResponse.SERVING if serving else pb.HealthCheckResponse.NOT_SERVING

    def _tell(self) -> None:
        if self.condition is not self._told:
            self._told = self.condition
            self._changed.set()
            self._changed = asyncio.Event()


class Health(health_pb2_grpc.HealthServicer):
    """Serves `grpc.health.v1.Health` on one port."""

    def __init__(self, vitals: Vitals) -> None:
        self._vitals = vitals
        self._watches: set[asyncio.Event] = set()
        self._ended = False

    @property
    def watches(self) -> int:
        """The number of Watch streams."""
        return len(self._watches)

    def end(self) -> None:
        """End the Watch streams, after a last status."""
        self._ended = True
        for ends in self._watches:
            ends.set()

    async def Check(self, request: pb.HealthCheckRequest, context: Any) -> pb.HealthCheckResponse:  # noqa: N802
        """Return the current status of a name."""
        status = self._vitals.status(request.service)
        if status == pb.HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such name; ask for startup, readiness or liveness")
        return pb.HealthCheckResponse(status=status)

    async def Watch(self, request: pb.HealthCheckRequest, context: Any) -> None:  # noqa: N802
        """Send the status of a name now and after each change, until the server stops."""
        if len(self._watches) >= MOST_WATCHES:
            refusal = Refusal(Reason.RATE_LIMITED, f"{MOST_WATCHES} Watch streams are open; use Check")
            await abort(context, refusal)
        self._watches.add(ends := asyncio.Event())
        try:
            told = None
            while True:
                changed, ended = self._vitals.changed, self._ended
                if (status := self._vitals.status(request.service)) != told:
                    await context.write(pb.HealthCheckResponse(status=status))
                    told = status
                if ended:
                    return
                await _first(changed, ends)
        finally:
            self._watches.discard(ends)


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
