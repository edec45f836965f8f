"""One container of a pod, from its start to its end, with restarts between."""

import asyncio
import math
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from .objects import Manifest
from .probes import verdicts
from .sandbox import Process

_BACKOFF_SECONDS = (0.5, 1, 2, 4)
"""Before the first, second and later restarts: a twentieth of what a kubelet waits."""
_LEAST_GRACE_SECONDS = 2


class Container:
    """What a kubelet does for one container. `start` starts its process; `changed` is called with each change.

    `history` says what happened, for tests and for those who read why one failed.
    """

    def __init__(
        self,
        manifest: Manifest,
        address: str,
        start: Callable[[], Awaitable[Process]],
        changed: Callable[[], None],
    ) -> None:
        self.manifest = manifest
        self.name: str = manifest["name"]
        self.started = False
        self.ready = False
        self.ready_since = math.inf
        self.restarts = 0
        self.status: int | None = None
        self.history: list[str] = []
        self._address = address
        self._start = start
        self._changed = changed
        self._ports: Mapping[str, int] = {
            port["name"]: port["containerPort"] for port in manifest.get("ports", ()) if "name" in port
        }
        self.process: Process | None = None

    async def run(self, ending: asyncio.Event, grace_seconds: float, *, restarts: bool = True) -> None:
        """Run it until the pod ends; without `restarts`, until it ends."""
        while not ending.is_set():
            self.process = await self._start()
            self.status = await self._run_once(self.process, ending, grace_seconds)
            self._note(f"ended with {self.status}")
            self._set(started=False, ready=False)
            if not restarts:
                return
            if not ending.is_set():
                await self._back_off(ending)

    async def _run_once(self, process: Process, ending: asyncio.Event, grace_seconds: float) -> int:
        ended = asyncio.create_task(process.wait())
        told, sick = asyncio.create_task(ending.wait()), asyncio.create_task(self._sick())
        try:
            await asyncio.wait({ended, told, sick}, return_when=asyncio.FIRST_COMPLETED)
            if sick.done():
                sick.result()
            sick.cancel()
            if not ended.done():
                await self._end(process, grace_seconds)
            return await ended
        finally:
            for task in (ended, told, sick):
                task.cancel()
            process.send(signal.SIGKILL)

    async def _sick(self) -> None:
        """Probe it; return if it has to be restarted."""
        if not await self._starts():
            return self._note("failed its startup probe")
        self._set(started=True, ready="readinessProbe" not in self.manifest)
        async with asyncio.TaskGroup() as probes:
            readiness = probes.create_task(self._follow_readiness())
            await self._alive()
            readiness.cancel()
        return self._note("failed its liveness probe")

    async def _starts(self) -> bool:
        if "startupProbe" not in self.manifest:
            return True
        return await anext(verdict async for verdict in self._verdicts("startupProbe") if verdict is not None)

    async def _alive(self) -> None:
        if "livenessProbe" not in self.manifest:
            await asyncio.Event().wait()
        async for verdict in self._verdicts("livenessProbe"):
            if verdict is False:
                return

    async def _follow_readiness(self) -> None:
        if "readinessProbe" in self.manifest:
            async for verdict in self._verdicts("readinessProbe"):
                self._set(started=True, ready=bool(verdict))

    def _verdicts(self, kind: str) -> AsyncIterator[bool | None]:
        return verdicts(self.manifest[kind], self._address, self._ports)

    async def _end(self, process: Process, grace_seconds: float) -> None:
        deadline = time.monotonic() + grace_seconds
        await self._pre_stop(grace_seconds)
        process.send(signal.SIGTERM)
        self._note("was sent SIGTERM")
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), _LEAST_GRACE_SECONDS)):
                await process.wait()
        except TimeoutError:
            self._note("was killed after its grace")
            process.send(signal.SIGKILL)

    async def _pre_stop(self, most_seconds: float) -> None:
        hook = self.manifest.get("lifecycle", {}).get("preStop", {})
        if hook:
            [(kind, what)] = hook.items()
            if kind != "sleep":
                raise NotImplementedError(f"a preStop of kind {kind}")
            await asyncio.sleep(min(what["seconds"], most_seconds))

    async def _back_off(self, ending: asyncio.Event) -> None:
        seconds = _BACKOFF_SECONDS[min(self.restarts, len(_BACKOFF_SECONDS) - 1)]
        self.restarts += 1
        self._changed()
        try:
            async with asyncio.timeout(seconds):
                await ending.wait()
        except TimeoutError:
            self._note("is restarted")

    def _set(self, *, started: bool, ready: bool) -> None:
        if (started, ready) != (self.started, self.ready):
            self.started, self.ready = started, ready
            self.ready_since = time.monotonic() if ready else math.inf
            self._note("is ready" if ready else "is started" if started else "is down")

    def _note(self, what: str) -> None:
        self.history.append(what)
        self._changed()
