"""Two ways for SUBMIT to take over an answer that was begun at low priority: let it run on, or send a new request.

On real vLLM (the packaged model), beside plain generations that never pause. A pre-generation of a cached prompt runs
until HEAD_TOKENS are there; then SUBMIT comes, and the answer needs REST_TOKENS more:

    run on      the low-priority request goes on
    continue    it is aborted; a new request at generation priority has its prompt and what it made

`queue` is the number of uncached plain prompts of 600 tokens that come at the same moment. The last table is for SUBMIT
before the first token: the same choice, the new request being a plain generation of the prompt.

    python tests/benchmarks/adoption.py [--rounds 8]

Prints medians in milliseconds from SUBMIT, with least and most, to the first and to the last of the tokens that follow.
"""

import argparse
import asyncio
import os
import random
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from forefill_service.chat.generation import Sampling
from forefill_service.engine import Priority, Request
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.settings import Settings

HEAD_TOKENS, REST_TOKENS = 16, 32
PROMPT_TOKENS, UNCACHED_TOKENS, QUEUED_TOKENS = 400, 96, 600
NEIGHBOURS = (0, 1, 4, 8)
QUEUED = 4


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds from SUBMIT to the first and to the last of the tokens that follow."""

    first: float
    last: float


class Bench:
    """One engine, and prompts that it has never seen."""

    def __init__(self, engine: EmbeddedEngine, seed: int) -> None:
        self.engine = engine
        self.random = random.Random(seed)

    def prompt(self, tokens: int) -> list[int]:
        """Return ids of random words, after which the model goes on and on."""
        return [self.random.randrange(1000, 20000) for _ in range(tokens)]

    def generate(self, ids: list[int], tokens: int, priority: Priority) -> AsyncIterator[float]:
        return _times(self.engine, Request(ids, Sampling(max_tokens=tokens, temperature=1.0), priority))

    async def cached_prompt(self) -> list[int]:
        ids = self.prompt(PROMPT_TOKENS)
        await _read(self.engine, Request(ids, Sampling(max_tokens=1), Priority.GENERATION))
        return ids

    @asynccontextmanager
    async def neighbours(self, count: int) -> AsyncIterator[None]:
        """Keep `count` plain generations running."""

        async def one() -> None:
            ids = self.prompt(64)
            while True:
                await _read(self.engine, Request(ids, Sampling(max_tokens=200, temperature=1.0), Priority.GENERATION))

        tasks = [asyncio.create_task(one()) for _ in range(count)]
        await asyncio.sleep(0.3 if count else 0)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @asynccontextmanager
    async def queue(self, count: int) -> AsyncIterator[None]:
        """Send `count` long prompts at once."""
        asked = [Request(self.prompt(QUEUED_TOKENS), Sampling(max_tokens=8), Priority.GENERATION) for _ in range(count)]
        tasks = [asyncio.create_task(_read(self.engine, request)) for request in asked]
        await asyncio.sleep(0.005 if count else 0)
        try:
            yield
        finally:
            await asyncio.gather(*tasks)

    async def adopt(self, *, run_on: bool, queued: int) -> Taken | None:
        """Take over an answer that runs; None if it ended too early to measure."""
        ids = await self.cached_prompt()
        sampling = Sampling(max_tokens=HEAD_TOKENS + REST_TOKENS, temperature=1.0)
        request = Request(ids, sampling, Priority.PREGENERATION)
        head: list[int] = []
        arrivals: list[float] = []
        async with aclosing(self.engine.generate(request)) as outputs:
            async for output in outputs:
                head.extend(output.token_ids)
                if len(head) >= HEAD_TOKENS:
                    break
            async with self.queue(queued):
                submitted = time.perf_counter()
                if run_on:
                    arrivals = [time.perf_counter() async for _ in outputs]
                else:
                    await outputs.aclose()
                    rest = HEAD_TOKENS + REST_TOKENS - len(head)
                    arrivals = [when async for when in self.generate([*ids, *head], rest, Priority.GENERATION)]
        return _taken(submitted, arrivals)

    async def answer_first(self, *, run_on: bool, queued: int) -> Taken | None:
        """Take over an answer that has no token yet; None if it ended too early to measure."""
        ids = [*await self.cached_prompt(), *self.prompt(UNCACHED_TOKENS)]
        async with self.queue(queued):
            begun = self.generate(ids, REST_TOKENS, Priority.PREGENERATION)
            first = asyncio.ensure_future(anext(begun))
            await asyncio.sleep(0.02)
            submitted = time.perf_counter()
            if run_on:
                arrivals = [await first, *[when async for when in begun]]
            else:
                first.cancel()
                arrivals = [when async for when in self.generate(ids, REST_TOKENS, Priority.GENERATION)]
        return _taken(submitted, arrivals)


async def _times(engine: EmbeddedEngine, request: Request) -> AsyncIterator[float]:
    async with aclosing(engine.generate(request)) as outputs:
        async for _ in outputs:
            yield time.perf_counter()


async def _read(engine: EmbeddedEngine, request: Request) -> None:
    async with aclosing(engine.generate(request)) as outputs:
        async for _ in outputs:
            pass


def _taken(submitted: float, arrivals: list[float]) -> Taken | None:
    if len(arrivals) < REST_TOKENS // 2:  # the model has ended its answer early
        return None
    per_token = (arrivals[-1] - arrivals[0]) / (len(arrivals) - 1)
    return Taken(arrivals[0] - submitted, arrivals[0] - submitted + per_token * (REST_TOKENS - 1))


def _column(seconds: list[float]) -> str:
    if not seconds:
        return f"{'-':>24}"
    low, mid, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{mid * 1e3:8.0f} ({low * 1e3:5.0f} -{high * 1e3:6.0f})"


async def measure(engine: EmbeddedEngine, rounds: int) -> None:
    """Measure every load with both choices, in turn, and print the tables."""
    bench = Bench(engine, seed=7)
    loads = [*((count, 0) for count in NEIGHBOURS), (4, QUEUED), (8, QUEUED)]
    for title, work in (("SUBMIT while it runs", bench.adopt), ("SUBMIT before its first token", bench.answer_first)):
        columns = f"{'first token, ms':>24}{'last token, ms':>24}{'runs':>6}"
        print(f"\n{title}\n{'neighbours':>10}{'queue':>7}  {'':10}{columns}")
        for neighbours, queued in loads:
            taken: dict[bool, list[Taken]] = {True: [], False: []}
            async with bench.neighbours(neighbours):
                for _ in range(rounds):
                    for run_on in bench.random.sample([True, False], 2):
                        if (result := await work(run_on=run_on, queued=queued)) is not None:
                            taken[run_on].append(result)
            for run_on, name in ((True, "run on"), (False, "continue")):
                first, last = [t.first for t in taken[run_on]], [t.last for t in taken[run_on]]
                row = f"{neighbours:10}{queued:7}  {name:10}{_column(first)}{_column(last)}{len(first):6}"
                print(row, flush=True)


def main() -> None:
    """Start the engine and measure."""
    parser = argparse.ArgumentParser(
        description="Compare two ways for SUBMIT to take over an answer that was begun before it."
    )
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    engine = EmbeddedEngine.start(Settings())

    async def run() -> None:
        try:
            await measure(engine, rounds)
        finally:
            await engine.close()

    asyncio.run(run())


if __name__ == "__main__":
    main()
