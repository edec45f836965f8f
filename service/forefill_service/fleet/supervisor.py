"""Supervises every engine: self-test, liveness, cache events."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from ..engine import Engine
from ..engine.self_test import warming_inert_reason
from ..errors import EngineDied, EngineError, EngineStartError
from ..scheduling.calibration import calibrate
from .backend import Backend
from .replicas import Replica

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often the supervisor checks whether an engine that was away is back."""


class EngineSupervisor:
    """Supervises the engines of one server.

    `report_health` is called every `LOOK_SECONDS` with whether any engine is up; `engine_died` is set when the engine
    is lost for good.
    """

    def __init__(self, backend: Backend, report_health: Callable[[bool], None], engine_died: asyncio.Event) -> None:
        self._backend = backend
        self._report_health = report_health
        self._engine_died = engine_died
        self._by_engine: dict[Engine, list[Replica]] = {}
        for replica in backend.replicas.all:
            self._by_engine.setdefault(replica.engine, []).append(replica)
        self._untested = set(self._by_engine)

    async def prepare(self) -> None:
        """Test and calibrate the engines that are up.

        Raises EngineStartError if none of them answers.
        """
        first = [engine for engine in self._by_engine if engine.up] or list(self._by_engine)
        results = await asyncio.gather(*(self._prepare(engine) for engine in first), return_exceptions=True)
        errors = [result for result in results if isinstance(result, BaseException)]
        for error in errors:
            if not isinstance(error, EngineError):
                raise error
        if len(errors) == len(results):
            raise EngineStartError(f"the engine came up but does not answer: {errors[0]}") from errors[0]
        chat, info = self._backend.replicas.chat, self._backend.info
        await self._backend.render(getattr, chat, "holdback")  # it is measured now, not in the first session
        log.info("serving %s: context %d tokens, cache blocks of %d", info.model, info.context_tokens, info.block_size)

    async def run(self) -> None:
        """Supervise the engines until cancelled."""
        async with asyncio.TaskGroup() as group:
            for engine in self._by_engine:
                group.create_task(self._watch(engine))
                group.create_task(self._follow_cache(engine))
                group.create_task(self._keep_tested(engine))
            group.create_task(self._keep_reporting_health())

    async def _keep_reporting_health(self) -> None:
        while True:
            await self._backend.sleep(LOOK_SECONDS)
            self._report_health(self._backend.replicas.up)

    async def _keep_tested(self, engine: Engine) -> None:
        """Prepare an engine that was away at the start, once it is up, and one that has restarted."""
        while True:
            await self._backend.sleep(LOOK_SECONDS)
            if engine not in self._untested or not engine.up:
                continue
            try:
                await self._prepare(engine)
            except EngineError as error:
                log.debug("%s is not ready: %s", engine.name, error)
            except Exception:
                log.exception("%s could not be tested; trying again", engine.name)

    async def _watch(self, engine: Engine) -> None:
        while True:
            try:
                return await engine.watch()
            except EngineDied as died:
                log.error("%s is lost: %s", engine.name, died)
                return self._engine_died.set()
            except Exception:  # whatever it is, the others must be watched, and this one, too
                log.exception("watching %s failed; trying again", engine.name)
                await self._backend.sleep(LOOK_SECONDS)

    async def _prepare(self, engine: Engine) -> None:
        """Test whether warming works there, and the first time how fast it is: later its own work shows that."""
        replicas = self._by_engine[engine]
        self._untested.discard(engine)
        try:
            reason = await warming_inert_reason(engine)
            if not replicas[0].ready:
                await calibrate(engine, replicas[0].admission.times, self._backend.clock)
        except BaseException:
            self._untested.add(engine)
            raise
        if reason and reason != replicas[0].inert_reason:
            log.warning("warming is inert on %s, answers come as without forefill: %s", engine.name, reason)
        elif replicas[0].inert_reason and not reason:
            log.info("warming works on %s", engine.name)
        for replica in replicas:
            replica.inert_reason, replica.ready = reason, True

    async def _follow_cache(self, engine: Engine) -> None:
        """Believe the cache events of an engine. If it sends none, or they fail, what is cached is guessed."""
        caches = [replica.blocks for replica in self._by_engine[engine]]
        try:
            async with aclosing(engine.cache_changes()) as changes:
                async for change in changes:
                    for blocks in caches:
                        blocks.change(change)
                    if change.cleared:  # it has restarted, perhaps with other flags
                        self._untested.add(engine)
        except Exception:
            log.exception("the cache events of %s cannot be read; what is cached is guessed from now on", engine.name)
            for blocks in caches:
                blocks.stop_trusting_events()
