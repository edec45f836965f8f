"""SUBMIT never waits for the session's own warm, and never stops one that it can use: over the wire."""

import asyncio

from forefill_service.engine import FakeEngine, FakeSpeed, Priority, Request
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.recording import RecordingEngine
from tests.support.wire import Typist, typing_at

TYPED = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen. "
LOOPBACK = Settings(port=0, metrics_port=-1)
WAIT_SECONDS = 30


class GatedEngine(RecordingEngine):
    """A fake whose work stands still while the gate is shut."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.fake = FakeEngine(speed=FakeSpeed(), sleep=self._work)
        super().__init__(self.fake)

    async def _work(self, seconds: float) -> None:
        await self.gate.wait()

    async def next_request(self) -> Request:
        """Wait for the next request that nobody has waited for yet."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await self.arrived.get()


async def start_a_warm(engine: GatedEngine, typist: Typist) -> Request:
    """Type and FLUSH, and return the warm that now stands still in the engine."""
    await typist.flush()
    while not engine.arrived.empty():
        engine.arrived.get_nowait()
    engine.gate.clear()
    await typist.type(TYPED)
    await typist.send_flush()
    warm = await engine.next_request()
    assert warm.priority is Priority.WARM
    return warm


async def test_a_warm_that_leads_the_prompt_is_neither_waited_for_nor_dropped() -> None:
    engine = GatedEngine()
    async with running_server([engine], LOOPBACK) as server, typing_at(server.address) as typist:
        warm = await start_a_warm(engine, typist)
        await typist.send_submit()
        generation = await engine.next_request()
        aborted_when_sent = engine.fake.aborted
        engine.gate.set()
        answer = await typist.answer()
    assert generation.priority is Priority.GENERATION
    assert generation.prompt_ids[: len(warm.prompt_ids)] == warm.prompt_ids
    assert aborted_when_sent == engine.fake.aborted == 0
    assert answer.cached_tokens >= len(warm.prompt_ids)


async def test_a_warm_that_does_not_lead_the_prompt_is_dropped() -> None:
    engine = GatedEngine()
    async with running_server([engine], LOOPBACK) as server, typing_at(server.address) as typist:
        await start_a_warm(engine, typist)
        await typist.send_submit("Something else.")
        generation = await engine.next_request()
        engine.gate.set()
        answer = await typist.answer()
    assert generation.priority is Priority.GENERATION
    assert engine.fake.aborted == 1
    assert answer.finished.ledger.edited_away_tokens > 0
