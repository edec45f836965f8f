"""The books against vLLM's own counts of prompt tokens: what was computed ahead, and what was found cached."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine import Output, Request
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

from tests.support.recording import RecordingEngine
from tests.support.wire import Answer, Typist, typing_at

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

# No silence on a slow machine makes a warm of its own, which the next SUBMIT might drop half-way.
SETTINGS = Settings(port=0, metrics_port=-1, warm_pause_ms=10**7, touch_seconds=0)
ROWS = ("used", "edited_away", "evicted", "abandoned", "kept")
QUESTION = "Show the names of all makers, with more than 3 models, and order them by name. "
PASTE = "".join(f"Row {row}: the car number {row * 7} has {row % 5} doors.\n" for row in range(100))
SECONDS_TO_GIVE_UP = 60


@dataclass(frozen=True)
class VllmCounts:
    """What vLLM's metrics say by now, in tokens of prompts."""

    prompts: int
    computed: int
    cached: int

    @classmethod
    def of(cls, engine: EmbeddedEngine) -> "VllmCounts":
        loggers: list[Any] = engine.vllm.logger_manager.stat_loggers
        metrics = next(logger for logger in loggers if hasattr(logger, "counter_prompt_tokens_by_source"))
        counters = (
            metrics.counter_prompt_tokens,
            metrics.counter_prompt_tokens_by_source["local_compute"],
            metrics.counter_prompt_tokens_cached,
        )
        return cls(*(int(counter[0]._value.get()) for counter in counters))

    def since(self, before: "VllmCounts") -> "VllmCounts":
        return VllmCounts(self.prompts - before.prompts, self.computed - before.computed, self.cached - before.cached)


class Seam(RecordingEngine):
    """Adds up what passes the seam: prompt tokens of requests, and how many of each were found cached."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        super().__init__(engine)
        self.prompts = self.cached = 0

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        self.prompts += len(request.prompt_ids)
        found = 0
        async with aclosing(super().generate(request)) as outputs:
            async for output in outputs:
                found = output.cached_tokens or 0
                yield output
        self.cached += found


async def counted_all(engine: EmbeddedEngine, before: VllmCounts, seam: Seam) -> VllmCounts:
    """Wait until vLLM's metrics have every request: they follow the outputs. Return what came since."""
    async with asyncio.timeout(SECONDS_TO_GIVE_UP):
        while (counts := VllmCounts.of(engine).since(before)).prompts < seam.prompts:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return counts


async def a_turn(typist: Typist, *texts: str) -> Answer:
    """Type some texts with a FLUSH after each, and submit when the last is answered: no warm is dropped."""
    for text in texts:
        await typist.type(text)
        await typist.flush()
    return await typist.submit()


async def two_turns(address: str, system: str) -> list[Answer]:
    async with typing_at(address, [("system", system)]) as typist:
        await typist.flush()
        answers = [await a_turn(typist, QUESTION, "And by year. ")]
        await typist.flush()
        await typist.type(QUESTION)
        await typist.flush()
        await typist.delete(len(QUESTION) // 2)
        answers.append(await a_turn(typist, "that were built in Japan, in the order of their prices. "))
        await typist.flush()
        await typist.end()
    return answers


async def a_paste_that_is_edited(address: str, system: str) -> list[Answer]:
    async with typing_at(address, [("system", system)], cache_scope=pb.CACHE_SCOPE_SESSION) as typist:
        await typist.flush()
        await typist.type(PASTE)
        await typist.flush()
        await typist.replace(400, 410, "another")
        answers = [await a_turn(typist, "Briefly, please. ")]
        await typist.flush()
        await typist.end()
    return answers


async def never_submitted(address: str, system: str) -> list[Answer]:
    async with typing_at(address, [("system", system)]) as typist:
        await typist.flush()
        await typist.type(PASTE[:600])
        await typist.flush()
        await typist.end()
    return []


def booked(server: RunningServer) -> dict[str, int]:
    registry = server.backend.metrics.registry
    return {row: int(registry.get_sample_value("forefill_warm_tokens_total", {"row": row}) or 0) for row in ROWS}


async def test_what_vllm_computed_is_in_the_books_or_was_left_to_an_answer(embedded_engine: EmbeddedEngine) -> None:
    seam, before = Seam(embedded_engine), VllmCounts.of(embedded_engine)
    async with running_server([seam], SETTINGS) as server:
        await counted_all(embedded_engine, before, seam)  # what the server tried at its start comes to rest
        seam.prompts = seam.cached = 0
        before = VllmCounts.of(embedded_engine)
        system = f"{secrets.token_hex(8)} " + "You translate questions into SQL. " * 20
        answers = await two_turns(server.address, system)
        answers += await two_turns(server.address, system)
        answers += await a_paste_that_is_edited(server.address, system)
        answers += await never_submitted(server.address, system)
        counts = await counted_all(embedded_engine, before, seam)
        rows = booked(server)
    usages = [answer.finished.usage for answer in answers]
    left_to_answers = sum(usage.prompt_tokens - usage.cached_tokens for usage in usages)
    assert counts.prompts == seam.prompts
    assert counts.cached == seam.cached, "what passes the seam is vLLM's own count"
    assert counts.computed == sum(rows.values()) + left_to_answers
    assert rows["used"] > rows["evicted"]
    assert rows["edited_away"] > 0
    assert rows["abandoned"] > 0
    assert sum(answer.finished.ledger.computed_tokens for answer in answers) <= sum(rows.values())
