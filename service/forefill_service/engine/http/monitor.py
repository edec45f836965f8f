"""Watches a server: whether it is up, how much it has to do, and whether it has restarted.

`pulse` has the rules; this file does the waiting. Two tasks run side by side, since a server that hangs keeps each of
them waiting: one probes the server after a silence or a failure, the other reads its metrics.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING

from ...errors import EngineBusy, EngineError, EngineUnavailable, EngineUnreachable
from .failures import NotServed
from .pulse import Pulse
from .vllm_metrics import ServerWork

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from ...chat.generation import Output
    from ...settings import RemoteSettings
    from .client import ServerClient

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often a server's metrics are read, and how often it is probed while it is down."""


class ServerMonitor:
    """The state of one server, as of its last sign of life. Times are those of `clock`, in seconds.

    `restarted` is set when the server has come up again, or its counters have begun again, and so its cache is empty.
    """

    def __init__(self, client: ServerClient, settings: RemoteSettings, clock: Callable[[], float]) -> None:
        self.pulse = Pulse(single_server=not settings.router)
        self.work = ServerWork.unknown() if settings.router else ServerWork()
        self.restarted = asyncio.Event()
        self._client = client
        self._settings = settings
        self._clock = clock
        self._probe_now = asyncio.Event()
        self._probed_at = float("-inf")
        self._mismatch = ""
        self._reported_down = False

    async def watched(self, outputs: AsyncGenerator[Output, None]) -> AsyncGenerator[Output, None]:
        """Pass on the parts of an answer; each is a sign of life. Raises what `doubting` does."""
        with self.our_request():
            async with aclosing(outputs):
                async for output in outputs:
                    self.heard()
                    yield output

    @contextmanager
    def our_request(self) -> Iterator[None]:
        """Count the block as a request of ours, and take a failure of it as `doubting` does."""
        self.work.ours += 1
        try:
            with self.doubting():
                yield
        finally:
            self.work.ours -= 1

    @contextmanager
    def doubting(self) -> Iterator[None]:
        """Take a failure of the block, or an answer that makes no sense, as a reason to probe at once.

        Raises EngineUnavailable in place of NotServed: another server may take the request.
        """
        try:
            yield
        except EngineUnavailable as error:
            if isinstance(error, EngineUnreachable):
                self.pulse.refused()
            self._probe_now.set()
            raise
        except NotServed as refused:
            self._probe_now.set()
            raise EngineUnavailable(str(refused)) from refused

    def heard(self) -> None:
        """Record a sign of life."""
        self.pulse.heard(self._clock())

    async def watch(self) -> None:
        """Probe the server and read its metrics until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_reading_metrics())
            tasks.create_task(self._keep_probing())

    async def probe(self) -> None:
        """Have one token generated; the outcome decides whether the server is up."""
        asked_at = self._probed_at = self._clock()
        recently = asked_at - self._settings.probe_after_seconds
        was_up, failure = self.pulse.up, ""
        try:
            await self._client.probe()
        except TimeoutError:
            failure = f"no token within {self._settings.probe_timeout_seconds:g} s"
            self.pulse.probe_unanswered(asked_at)
        except EngineBusy as busy:  # no room, or no worker: a server that is only busy gives signs of life
            failure = str(busy)
            self.pulse.probe_unanswered(recently)
        except EngineError as error:
            failure = str(error)
            self.pulse.failed(recently)
        else:
            if was_up or await self._matches_what_is_served():
                self._mark_up()
        if failure and not self.pulse.up:
            self._mark_down(failure)

    async def read_metrics(self) -> None:
        """Update the load, and see from the server's counters whether it has worked for anyone, or has restarted."""
        try:
            change = self.work.update(await self._client.metrics())
        except EngineUnavailable:
            self._probe_now.set()
            return
        if change.worked:
            self.heard()
        if change.restarted:
            self.restarted.set()

    def _mark_up(self) -> None:
        was_up_before = self.pulse.heard_at > float("-inf")
        self._reported_down = False
        if self.pulse.answered(self._clock()):
            log.info("%s is up", self._client.name)
            if was_up_before:
                self.restarted.set()

    def _mark_down(self, why: str) -> None:
        if not self._reported_down:
            self._reported_down = True
            log.warning("%s is down (%s); its sessions go elsewhere until it is up", self._client.name, why)
        silent_seconds = self._clock() - self.pulse.heard_at
        # An answer that still arrives is not cut off.
        if self.pulse.single_server and silent_seconds >= self._settings.probe_timeout_seconds:
            self._client.hang_up()

    async def _matches_what_is_served(self) -> bool:
        try:
            mismatch = await self._client.mismatch()
        except EngineError as error:
            log.debug("%s does not say what it serves: %s", self._client.name, error)
            return False
        if mismatch and mismatch != self._mismatch:
            log.error("%s is up but not used: %s", self._client.name, mismatch)
        self._mismatch = mismatch
        return not mismatch

    async def _keep_probing(self) -> None:
        while True:
            silent_since = max(self.pulse.heard_at, self._probed_at)
            due = self._clock() - silent_since >= self._settings.probe_after_seconds
            if due or self._probe_now.is_set() or self.pulse.misses or not self.pulse.up:
                self._probe_now.clear()
                await self.probe()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._probe_now.wait()

    async def _keep_reading_metrics(self) -> None:
        every = min(LOOK_SECONDS, self._settings.probe_timeout_seconds / 2)  # the verdict on a probe depends on it
        while not self._settings.router:
            await self.read_metrics()
            await asyncio.sleep(every)
