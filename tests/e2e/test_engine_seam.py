"""What every `Engine` owes to forefill: one suite, on the fake and on real vLLM, embedded and over HTTP."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import Engine, FakeEngine, Output, Priority, Request, warm
from forefill_service.engine.http import RemoteEngine
from forefill_service.engine.self_test import warming_inert_reason as self_test
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.errors import EngineRefused

from tests.support.fake_vllm import fake_vllm
from tests.support.remote_engine import remote_engine

pytestmark = pytest.mark.asyncio(loop_scope="session")

GREEDY = Sampling(max_tokens=8, temperature=0.0)
WAIT_SECONDS = 60


@dataclass
class Bench:
    """An engine under a salt of its own, so that what other tests cached is not found."""

    engine: Engine
    salt: str | None = field(default_factory=lambda: secrets.token_hex(8))

    def ids(self, tokens: int) -> list[int]:
        some = self.engine.chat.encode("one two three four five six seven eight ")
        return (some * tokens)[:tokens]

    def blocks(self, count: int) -> list[int]:
        return self.ids(count * self.engine.info.block_size)

    async def run(self, prompt: list[int], sampling: Sampling = GREEDY) -> list[Output]:
        request = Request(prompt, sampling, Priority.GENERATION, self.salt)
        return [output async for output in self.engine.generate(request)]

    async def cached(self, prompt: list[int]) -> int:
        cached_tokens = (await self.run(prompt, Sampling(max_tokens=1)))[-1].cached_tokens
        assert cached_tokens is not None
        return cached_tokens

    async def assert_freed(self) -> None:
        """The one request that was given up is no longer worked on."""
        match self.engine:
            case EmbeddedEngine():
                assert self.engine.vllm.output_processor.get_num_unfinished_requests() == 0
            case FakeEngine():
                assert self.engine.aborted == 1
            case RemoteEngine():
                async with asyncio.timeout(WAIT_SECONDS):
                    while self.engine.load.running:
                        await self.engine.monitor.probe()
                        await self.engine.monitor.read_metrics()


@pytest.fixture
def fake_engine() -> Engine:
    return FakeEngine(answer_tokens=40)


@pytest_asyncio.fixture(loop_scope="session")
async def fake_over_http() -> AsyncIterator[Engine]:
    async with fake_vllm(answer_tokens=40) as server, remote_engine(server) as engine:
        yield engine


@pytest.fixture(
    params=[
        "fake_engine",
        "fake_over_http",
        pytest.param("embedded_engine", marks=pytest.mark.vllm),
        pytest.param("vllm_over_http", marks=[pytest.mark.vllm, pytest.mark.replicas]),
    ]
)
def bench(request: pytest.FixtureRequest) -> Bench:
    return Bench(request.getfixturevalue(request.param))


async def test_an_answer_comes_in_parts_and_the_last_says_why_it_ended(bench: Bench) -> None:
    outputs = await bench.run(bench.ids(10))
    assert [output.finish_reason for output in outputs] == [None] * (len(outputs) - 1) + ["length"]
    assert sum(len(output.token_ids) for output in outputs) == 8
    assert "".join(output.text for output in outputs)


async def test_an_answer_that_ends_by_itself_stops(bench: Bench) -> None:
    prompt = bench.engine.chat.encode(bench.engine.chat.render(Conversation((ChatMessage("user", "Hi"),))))
    outputs = await bench.run(prompt, Sampling(max_tokens=200, temperature=0.0))
    assert outputs[-1].finish_reason == "stop"
    assert 0 < sum(len(output.token_ids) for output in outputs) < 200


async def test_the_same_prompt_has_the_same_greedy_answer(bench: Bench) -> None:
    first, second = [await bench.run(bench.ids(10)) for _ in range(2)]
    assert "".join(o.text for o in first) == "".join(o.text for o in second)


async def test_max_tokens_ends_where_the_context_does() -> None:
    bench = Bench(FakeEngine(context_tokens=64))
    for wanted in (None, 100):
        outputs = await bench.run(bench.ids(62), Sampling(max_tokens=wanted))
        assert [output.finish_reason for output in outputs] == [None, "length"]


@pytest.mark.parametrize("blocks", [1, 2, 5])
async def test_a_warm_of_whole_blocks_caches_all_of_them(bench: Bench, blocks: int) -> None:
    prefix = bench.blocks(blocks)
    assert await warm(bench.engine, prefix, bench.salt) == 0
    assert await bench.cached([*prefix, *bench.ids(1)]) == len(prefix)


async def test_only_whole_blocks_are_cached(bench: Bench) -> None:
    block_size = bench.engine.info.block_size
    await warm(bench.engine, bench.ids(2 * block_size + block_size // 2), bench.salt)
    assert await bench.cached(bench.ids(4 * block_size)) == 2 * block_size


async def test_the_last_token_of_a_prompt_is_always_computed(bench: Bench) -> None:
    prefix = bench.blocks(3)
    await warm(bench.engine, prefix, bench.salt)
    assert await bench.cached(prefix) < len(prefix)


async def test_a_prompt_that_differs_in_one_token_finds_the_blocks_before_it(bench: Bench) -> None:
    prefix, block_size = bench.blocks(4), bench.engine.info.block_size
    await warm(bench.engine, prefix, bench.salt)
    other = [*prefix, *bench.ids(3)]
    other[2 * block_size + 5] = bench.engine.chat.encode("!")[0]
    assert await bench.cached(other) == 2 * block_size


async def test_the_last_part_tells_what_was_cached_and_those_before_it_nothing_else(bench: Bench) -> None:
    prefix = bench.blocks(2)
    await warm(bench.engine, prefix, bench.salt)
    outputs = await bench.run([*prefix, *bench.ids(3)])
    assert outputs[-1].cached_tokens == len(prefix)
    assert {output.cached_tokens for output in outputs} <= {len(prefix), None}


async def test_an_answer_leaves_its_own_blocks_cached(bench: Bench) -> None:
    block_size = bench.engine.info.block_size
    prompt = bench.ids(block_size + 3)
    outputs = await bench.run(prompt, Sampling(max_tokens=block_size, temperature=0.0, repetition_penalty=1.2))
    answer = [token for output in outputs for token in output.token_ids]
    whole = (len(prompt) + len(answer) - 1) // block_size * block_size
    assert await bench.cached([*prompt, *answer, *bench.ids(block_size)]) == whole


async def test_another_salt_finds_nothing(bench: Bench) -> None:
    prefix = bench.blocks(2)
    await warm(bench.engine, prefix, bench.salt)
    assert await Bench(bench.engine).cached([*prefix, *bench.ids(1)]) == 0
    assert await Bench(bench.engine, salt=None).cached([*prefix, *bench.ids(1)]) == 0


async def test_closing_the_generator_aborts_the_request(bench: Bench) -> None:
    request = Request(bench.ids(10), Sampling(max_tokens=30), Priority.GENERATION, bench.salt)
    async with aclosing(bench.engine.generate(request)) as outputs:
        await anext(outputs)
    await bench.assert_freed()
    assert await bench.run(bench.ids(10))


async def test_cancelling_the_reader_aborts_the_request(bench: Bench) -> None:
    started = asyncio.Event()

    async def read() -> None:
        request = Request(bench.ids(10), Sampling(max_tokens=30), Priority.GENERATION, bench.salt)
        async with aclosing(bench.engine.generate(request)) as outputs:
            async for _ in outputs:
                started.set()
                await asyncio.sleep(0)

    reader = asyncio.create_task(read())
    await started.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await bench.assert_freed()
    assert await bench.run(bench.ids(10))


async def test_requests_of_both_priorities_are_answered_side_by_side(bench: Bench) -> None:
    prefix = bench.blocks(4)
    warms = [warm(bench.engine, bench.blocks(count), bench.salt) for count in (1, 2, 3)]
    await asyncio.gather(bench.run([*prefix, *bench.ids(1)]), *warms)
    assert await bench.cached([*prefix, *bench.ids(1)]) == len(prefix)


@pytest.mark.parametrize("more_than_context", [0, 1, 100])
async def test_a_prompt_that_leaves_no_room_is_refused_and_the_engine_lives_on(
    bench: Bench, more_than_context: int
) -> None:
    with pytest.raises(EngineRefused):
        await bench.run(bench.ids(bench.engine.info.context_tokens + more_than_context))
    assert await bench.run(bench.ids(10))


async def test_the_self_test_finds_that_warming_works(bench: Bench) -> None:
    assert await self_test(bench.engine) == ""


async def test_the_self_test_says_why_warming_is_inert_without_a_cache() -> None:
    reason = await self_test(FakeEngine(cache_blocks=0, block_size=16))
    assert reason.startswith("the engine found 0 of 32 warmed tokens again")
    assert "\n" not in reason


async def test_the_self_test_says_why_where_no_block_fits_into_the_context() -> None:
    reason = await self_test(FakeEngine(block_size=528, context_tokens=512))
    assert reason == "one cache block (528 tokens) does not fit into the model's context (512 tokens)"
