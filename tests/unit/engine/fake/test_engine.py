"""The fake engine does what forefill depends on, each time the same."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import FakeEngine, FakeSpeed, Output, Priority, Request, warm
from forefill_service.engine.fake import Job
from forefill_service.engine.self_test import warming_inert_reason
from forefill_service.errors import EngineBusy, EngineDied, EngineRefused, EngineUnavailable, Reason, Refusal

from tests.support.stage import Gate, settle

BLOCK = 16
PROMPT = list(range(100, 100 + 3 * BLOCK + 5))


def request(ids: list[int] = PROMPT, priority: Priority = Priority.GENERATION, max_tokens: int = 4) -> Request:
    return Request(ids, Sampling(max_tokens=max_tokens), priority)


async def answer(engine: FakeEngine, asked: Request) -> list[Output]:
    return [output async for output in engine.generate(asked)]


async def cached(engine: FakeEngine, ids: list[int], salt: str | None = None) -> int:
    [output] = await answer(engine, Request(ids, Sampling(max_tokens=1), Priority.GENERATION, salt))
    assert output.cached_tokens is not None
    return output.cached_tokens


async def test_an_answer_depends_on_the_prompt_alone() -> None:
    first = await answer(FakeEngine(), request())
    second = await answer(FakeEngine(cache_blocks=0), request())
    other = await answer(FakeEngine(), request(PROMPT[1:]))
    assert [output.text for output in first] == [output.text for output in second]
    assert [output.text for output in first] != [output.text for output in other]


async def test_requests_are_kept_unless_told_otherwise() -> None:
    for engine, kept in ((FakeEngine(), 2), (FakeEngine(keep_requests=False), 0)):
        await answer(engine, request())
        await answer(engine, request())
        assert len(engine.requests) == kept


@pytest.mark.parametrize("said", range(1, 8))
async def test_asked_to_go_on_behind_its_own_words_it_says_the_rest(said: int) -> None:
    engine = FakeEngine(block_size=BLOCK)
    prompt = engine.chat.encode(engine.chat.render(Conversation((ChatMessage("user", "Is it so?"),))))
    whole = await answer(engine, request(prompt, max_tokens=8))
    head = [token for output in whole[:said] for token in output.token_ids]
    rest = await answer(engine, request([*prompt, *head], max_tokens=8))
    assert [(output.text, output.finish_reason) for output in rest] == [
        (output.text, output.finish_reason) for output in whole[said:]
    ]


async def test_the_texts_of_an_answer_have_its_ids() -> None:
    engine = FakeEngine()
    outputs = await answer(engine, request())
    assert engine.chat.encode("".join(output.text for output in outputs)) == [
        token for output in outputs for token in output.token_ids
    ]


@pytest.mark.parametrize(
    ("answer_tokens", "max_tokens", "length", "reason"), [(8, 4, 4, "length"), (3, 4, 3, "stop"), (4, 4, 4, "stop")]
)
async def test_an_answer_ends_by_itself_or_by_max_tokens(
    answer_tokens: int, max_tokens: int, length: int, reason: str
) -> None:
    outputs = await answer(FakeEngine(answer_tokens=answer_tokens), request(max_tokens=max_tokens))
    assert [output.finish_reason for output in outputs] == [None] * (length - 1) + [reason]


async def test_an_answer_ends_with_the_context() -> None:
    outputs = await answer(FakeEngine(context_tokens=len(PROMPT) + 2), request())
    assert [output.finish_reason for output in outputs] == [None, "length"]


async def test_a_prompt_without_room_is_refused() -> None:
    with pytest.raises(EngineRefused):
        await answer(FakeEngine(context_tokens=len(PROMPT)), request())


async def test_whole_blocks_are_found_again() -> None:
    engine = FakeEngine(block_size=BLOCK)
    assert await warm(engine, PROMPT) == 0
    assert await cached(engine, PROMPT) == 3 * BLOCK
    assert await cached(engine, PROMPT[: 2 * BLOCK + 1]) == 2 * BLOCK
    assert await cached(engine, [*PROMPT[:BLOCK], 1, *PROMPT[BLOCK + 1 :]]) == BLOCK
    assert await cached(engine, [1, *PROMPT[1:]]) == 0


async def test_the_block_of_the_last_token_is_computed_again() -> None:
    engine = FakeEngine(block_size=BLOCK)
    await warm(engine, PROMPT[: 2 * BLOCK])
    assert await cached(engine, PROMPT[: 2 * BLOCK]) == BLOCK


async def test_what_was_answered_is_cached_but_for_its_last_token() -> None:
    engine = FakeEngine(block_size=BLOCK, answer_tokens=BLOCK)
    prompt = PROMPT[: 2 * BLOCK]
    outputs = await answer(engine, request(prompt, max_tokens=BLOCK))
    said = [token for output in outputs for token in output.token_ids]
    assert await cached(engine, [*prompt, *said, 1]) == 2 * BLOCK
    other = FakeEngine(block_size=BLOCK, answer_tokens=BLOCK + 1)
    outputs = await answer(other, request(prompt, max_tokens=BLOCK + 1))
    said = [token for output in outputs for token in output.token_ids]
    assert await cached(other, [*prompt, *said]) == 3 * BLOCK


async def test_a_salt_keeps_blocks_apart() -> None:
    engine = FakeEngine(block_size=BLOCK)
    await warm(engine, PROMPT, "a")
    assert await cached(engine, PROMPT, "b") == 0
    assert await cached(engine, PROMPT, "a") == 3 * BLOCK


async def test_an_adapter_keeps_blocks_apart_and_answers_otherwise() -> None:
    engine = FakeEngine(block_size=BLOCK, adapters={"sql": "1", "poems": "1"})
    asked = [
        Request(PROMPT, Sampling(max_tokens=4), Priority.GENERATION, adapter=name) for name in ("", "sql", "poems")
    ]
    answers = [await answer(engine, one) for one in asked]
    assert [outputs[0].cached_tokens for outputs in answers] == [0, 0, 0]
    assert [(await answer(engine, one))[0].cached_tokens for one in asked] == [3 * BLOCK] * 3
    assert len({"".join(output.text for output in outputs) for outputs in answers}) == 3


@pytest.mark.parametrize("said", range(1, 8))
async def test_asked_to_go_on_by_the_same_adapter_it_says_the_rest(said: int) -> None:
    engine = FakeEngine(block_size=BLOCK)

    async def words(ids: list[int]) -> list[Output]:
        return await answer(engine, Request(ids, Sampling(max_tokens=8), Priority.GENERATION, adapter="sql"))

    prompt = engine.chat.encode(engine.chat.render(Conversation((ChatMessage("user", "Is it so?"),))))
    whole = await words(prompt)
    rest = await words([*prompt, *(token for output in whole[:said] for token in output.token_ids)])
    assert [output.text for output in rest] == [output.text for output in whole[said:]]


CHOICE = Structure("choice", ("one two three", "four, five"))


async def test_of_a_choice_it_says_one_text_or_the_beginning_of_it() -> None:
    engine = FakeEngine()
    said = {
        "".join(
            output.text
            for output in await answer(engine, Request([n], Sampling(structure=CHOICE), Priority.GENERATION))
        )
        for n in range(20)
    }
    assert said == {"one two three", "four, five"}
    short = await answer(engine, Request([1], Sampling(structure=CHOICE, max_tokens=2), Priority.GENERATION))
    assert (len(short), short[-1].finish_reason) == (2, "length")


@pytest.mark.parametrize(
    ("sampling", "adapter", "reason"),
    [
        (Sampling(structure=Structure("json", "{}")), "", Reason.INVALID_SAMPLING),
        (Sampling(structure=Structure("regex", "a")), "", Reason.INVALID_SAMPLING),
        (Sampling(structure=Structure("grammar", "a")), "", Reason.INVALID_SAMPLING),
        (Sampling(structure=Structure("json_object", True)), "", Reason.INVALID_SAMPLING),
        (Sampling(), "prose", Reason.ADAPTER_NOT_FOUND),
    ],
)
async def test_what_it_cannot_do_it_refuses_by_name(sampling: Sampling, adapter: str, reason: Reason) -> None:
    engine = FakeEngine(adapters={"sql": "7"})
    with pytest.raises(Refusal, match=sampling.structure.name if sampling.structure else "sql") as refusal:
        await engine.check(sampling, adapter)
    assert refusal.value.reason is reason
    assert await engine.check(Sampling(structure=CHOICE, logprobs=3), "sql") == "7"


@pytest.mark.parametrize("likeliest", [0, 1, 3])
async def test_each_token_has_as_many_likely_ones_beside_it_as_asked_for(likeliest: int) -> None:
    asked = Request(PROMPT, Sampling(max_tokens=4, logprobs=likeliest), Priority.GENERATION)
    outputs = await answer(FakeEngine(), asked)
    places = [place for output in outputs for place in output.logprobs]
    assert [place.token.id for place in places] == [token for output in outputs for token in output.token_ids]
    for place in places:
        assert len(place.likeliest) == likeliest
        assert place.likeliest[:1] == (place.token,)[:likeliest]
        chances = [one.logprob for one in place.likeliest]
        assert chances == sorted(chances, reverse=True)


async def test_the_least_recently_used_block_goes_first_and_the_end_before_the_beginning() -> None:
    engine = FakeEngine(block_size=BLOCK, cache_blocks=4)
    await warm(engine, PROMPT[: 2 * BLOCK])
    await warm(engine, [0, *PROMPT[: 2 * BLOCK]])
    await warm(engine, PROMPT[: 2 * BLOCK])  # used again
    await warm(engine, [1, *PROMPT[: BLOCK - 1]])
    assert await cached(engine, [*PROMPT[: 2 * BLOCK], 9]) == 2 * BLOCK
    assert await cached(engine, [0, *PROMPT[: 2 * BLOCK]]) == BLOCK


async def test_evict_forgets_everything() -> None:
    engine = FakeEngine(block_size=BLOCK)
    await warm(engine, PROMPT)
    engine.evict()
    assert await cached(engine, PROMPT) == 0


async def test_work_takes_the_time_that_its_speed_says() -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    engine = FakeEngine(block_size=BLOCK, speed=FakeSpeed(prefill=100, decode=10), sleep=sleep)
    await warm(engine, PROMPT[: 2 * BLOCK])
    await answer(engine, request(max_tokens=2))
    assert slept == [2 * BLOCK / 100, 0.1, (len(PROMPT) - 2 * BLOCK) / 100, 0.1, 0.1]


async def test_one_prefill_at_a_time_and_generation_before_warms() -> None:
    gate = Gate()
    gate.held = True
    prefills = []

    async def sleep(seconds: float) -> None:
        if seconds:
            prefills.append(seconds)
            await gate()

    engine = FakeEngine(speed=FakeSpeed(prefill=1), sleep=sleep)
    tasks = []
    for length, priority in [(1, Priority.WARM), (2, Priority.WARM), (3, Priority.GENERATION), (4, Priority.WARM)]:
        tasks.append(asyncio.create_task(answer(engine, request([length] * length, priority))))
        await settle()
    assert prefills == [1]
    for _ in tasks:
        gate.step()
        await settle()
    assert prefills == [1, 3, 2, 4]
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("cancelled", [0, 1])
async def test_a_request_that_is_stopped_leaves_its_place_to_the_next(cancelled: int) -> None:
    gate = Gate()
    gate.held = True
    engine = FakeEngine(sleep=gate)
    tasks = [asyncio.create_task(answer(engine, request([n, 1]))) for n in range(3)]
    await settle()
    tasks[cancelled].cancel()
    await settle()
    gate.open()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [n == cancelled for n in range(3)]
    assert engine.aborted == 1


@pytest.mark.parametrize("turns_of_the_loop", range(8))
async def test_a_request_whose_turn_comes_as_it_is_stopped_passes_it_on(turns_of_the_loop: int) -> None:
    gate = Gate()
    gate.held = True
    engine = FakeEngine(sleep=gate)
    tasks = [asyncio.create_task(answer(engine, request([n, 1], max_tokens=1))) for n in range(3)]
    await settle()
    gate.step()
    for _ in range(turns_of_the_loop):
        await asyncio.sleep(0)
    tasks[1].cancel()
    gate.open()
    await settle()
    assert tasks[1].cancelled()
    assert tasks[2].done()


async def test_refusals_are_counted_down() -> None:
    engine = FakeEngine()
    engine.faults.refuse = {Priority.WARM: 1}
    await answer(engine, request())
    with pytest.raises(EngineRefused):
        await warm(engine, PROMPT)
    assert await warm(engine, PROMPT) is not None


async def test_a_dead_engine_fails_what_runs_and_what_comes() -> None:
    gate = Gate()
    gate.held = True
    engine = FakeEngine(sleep=gate)
    running = asyncio.create_task(answer(engine, request()))
    await settle()
    engine.faults.dead = True
    gate.open()
    with pytest.raises(EngineDied):
        await running
    with pytest.raises(EngineDied):
        await answer(engine, request())


async def test_an_engine_that_is_down_loses_what_runs_and_comes_back() -> None:
    gate = Gate()
    gate.held = True
    engine = FakeEngine(sleep=gate)
    running = asyncio.create_task(answer(engine, request()))
    await settle()
    engine.faults.down = True
    gate.open()
    with pytest.raises(EngineUnavailable):
        await running
    assert not engine.up
    engine.faults.down = False
    assert engine.up
    assert await answer(engine, request())


async def test_requests_without_room_are_counted_down() -> None:
    engine = FakeEngine()
    engine.faults.busy = 1
    with pytest.raises(EngineBusy):
        await answer(engine, request())
    assert await answer(engine, request())


async def test_the_self_test_finds_that_warming_helps() -> None:
    engine = FakeEngine()
    assert await warming_inert_reason(engine) == ""
    assert {asked.cache_salt for asked in engine.requests} != {None}


async def test_the_self_test_finds_that_prefix_caching_is_off() -> None:
    assert "found 0 of 32" in await warming_inert_reason(FakeEngine(block_size=16, cache_blocks=0))


async def test_the_self_test_finds_blocks_larger_than_the_context() -> None:
    assert "does not fit" in await warming_inert_reason(FakeEngine(block_size=528, context_tokens=512))


async def test_what_it_is_told_to_hold_is_found() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.hold(PROMPT)
    assert await cached(engine, PROMPT) == 3 * BLOCK


class Reversing:
    """A scheduler under which the last request to come is answered first, once all of them are there."""

    def __init__(self, engine: FakeEngine, requests: int) -> None:
        self._engine = engine
        self._expected = requests
        self._turns: list[asyncio.Event] = []

    async def ticks(self, job: Job) -> AsyncGenerator[int, None]:
        turn = asyncio.Event()
        self._turns.append(turn)
        if len(self._turns) == self._expected:
            self.stop()
        await turn.wait()
        job.cached = self._engine.pool.leading(job.names) * self._engine.info.block_size
        self._engine.pool.store(job.names)
        for answered in range(1, job.answer_tokens + 1):
            yield answered
        self.stop()

    def stop(self) -> None:
        if self._turns:
            self._turns.pop().set()


async def test_a_scheduler_decides_who_is_answered_when_and_what_is_cached() -> None:
    engine = FakeEngine(block_size=BLOCK, scheduler=lambda engine: Reversing(engine, requests=2))
    told: list[str] = []

    async def ask(name: str) -> None:
        [*_, last] = await answer(engine, request())
        told.append(f"{name} found {last.cached_tokens}")

    await asyncio.gather(ask("first"), ask("second"))
    assert told == ["second found 0", f"first found {3 * BLOCK}"]


async def test_closing_stops_the_scheduler_and_fails_what_waits_for_it() -> None:
    engine = FakeEngine(scheduler=lambda engine: Reversing(engine, requests=2))
    waits = asyncio.create_task(answer(engine, request()))
    await settle()
    await engine.close()
    with pytest.raises(EngineDied):
        await waits
