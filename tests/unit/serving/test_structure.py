"""Sessions whose answers have a structure, logprobs, or an adapter."""

from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.engine import FakeEngine
from forefill_service.errors import Reason
from forefill_service.session.events import CharDelete, Open, Submit
from forefill_service.session.responses import GenerationDelta, GenerationStarted, Opened, Source

from tests.support.pausing import pausing
from tests.support.stage import BLOCK, SYSTEM, Stage, on_stage, user

TEXT = "twelve thirteen fourteen fifteen sixteen seventeen eighteen "
CHOICE = Structure("choice", ("one two three four five six", "seven eight nine ten eleven twelve"))
CHOOSING = Open((SYSTEM,), sampling=Sampling(structure=CHOICE))


async def test_an_answer_with_a_structure_is_begun_whole_and_given_up_at_the_cap() -> None:
    """A second request would begin the structure anew."""
    async with pausing(CHOOSING, pregeneration_tokens=3) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        [begun] = stage.pregenerations
        assert begun.sampling.structure == CHOICE
        assert begun.sampling.max_tokens == 8192 - len(begun.prompt_ids)
        assert stage.engine.aborted == 1
        seq = await stage.submits()
        assert stage.answer_text(seq) in CHOICE.as_vllm_takes_it["choice"]
        assert stage.generations[0].prompt_ids == stage.prompt_ids(user(TEXT))


async def test_an_answer_with_a_structure_that_was_complete_before_submit_is_adopted_as_it_is() -> None:
    async with pausing(CHOOSING, pregeneration_tokens=6) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        seq = await stage.submits()
        assert stage.generations == []
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert stage.answer_text(seq) in CHOICE.as_vllm_takes_it["choice"]


async def test_an_answer_with_a_structure_does_not_go_on_after_a_part_and_its_text_is_kept() -> None:
    async with on_stage(CHOOSING) as stage:
        seq = await stage.does(Submit(TEXT, answer_so_far="one two"))
        assert stage.error(seq).reason is Reason.GENERATION_FAILED
        assert "SUBMIT without that part" in stage.error(seq).message
        assert stage.generations == []
        seq = await stage.does(Submit())
        assert stage.answer_text(seq) in CHOICE.as_vllm_takes_it["choice"]
        assert stage.generations[0].prompt_ids == stage.prompt_ids(user(TEXT))


def logprob_ids(stage: Stage, seq: int) -> list[int]:
    return [place.token.id for delta in stage.all(GenerationDelta) if delta.seq == seq for place in delta.logprobs]


WITH_LOGPROBS = Open((SYSTEM,), sampling=Sampling(logprobs=2, max_tokens=6))


@pytest.mark.parametrize("tokens", [0, 1, 3, 6])
async def test_all_logprobs_come_however_much_of_the_answer_was_begun(tokens: int) -> None:
    settings: dict[str, Any] = {"pregeneration_tokens": tokens} if tokens else {"pregenerations_in_flight": 0}
    async with pausing(WITH_LOGPROBS, **settings) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        seq = await stage.submits()
        assert bool(stage.pregenerations) is bool(tokens)
        assert stage.all(GenerationStarted)[0].source is (Source.PREGENERATED if tokens else Source.WARM)
        ids = logprob_ids(stage, seq)
        assert len(ids) == 6
        assert ids == stage.engine.chat.encode(stage.answer_text(seq))
        assert all(len(place.likeliest) == 2 for delta in stage.all(GenerationDelta) for place in delta.logprobs)


async def test_no_logprobs_come_unless_they_are_asked_for() -> None:
    async with on_stage() as stage:
        seq = await stage.does(Submit(TEXT))
        assert stage.answer_text(seq)
        assert logprob_ids(stage, seq) == []


class SaysNothing(FakeEngine):
    """Its answer is tokens without text, as one that has only begun a character."""

    def _answer(self, request: Any) -> tuple[list[str], str]:
        words, reason = super()._answer(request)
        return ["\u200b" if position % 2 else word for position, word in enumerate(words)], reason

    async def generate(self, request: Any) -> Any:
        from dataclasses import replace

        async for output in super().generate(request):
            yield replace(output, text=output.text.replace("\u200b", ""))


async def test_the_logprobs_of_a_token_without_text_come_all_the_same() -> None:
    engine = SaysNothing(block_size=BLOCK)
    async with on_stage(WITH_LOGPROBS, engine=engine) as stage:
        seq = await stage.does(Submit(TEXT))
        assert len(logprob_ids(stage, seq)) == 6
        assert [delta for delta in stage.all(GenerationDelta) if not delta.text]
        assert all(delta.text or delta.logprobs for delta in stage.all(GenerationDelta))


def adapted(adapter: str, versions: dict[str, str] | None = None) -> dict[str, Any]:
    engine = FakeEngine(block_size=BLOCK, adapters=versions or {"sql": "1", "poems": "1"})
    return {"opening": Open((SYSTEM,), adapter=adapter), "engine": engine}


async def test_every_request_of_a_session_is_answered_by_its_adapter() -> None:
    given = adapted("sql")
    async with pausing(given["opening"], engine=given["engine"], pregeneration_tokens=2) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        await stage.pauses()
        await stage.submits()
        assert stage.warms
        assert stage.pregenerations
        assert {request.adapter for request in stage.engine.requests} == {"sql"}


async def test_blocks_of_one_adapter_are_never_believed_to_be_those_of_another() -> None:
    first = adapted("sql")
    async with on_stage(first["opening"], engine=first["engine"]) as stage:
        await stage.types(TEXT)
        assert stage.flush_result(await stage.flushes()).computed_tokens > 0
        backend, engine = stage.backend, stage.engine
        for adapter, shares in (("poems", False), ("", False), ("sql", True)):
            other = Stage(Open((SYSTEM,), adapter=adapter), engine=engine, backend=backend)
            await other.types(TEXT)
            result = other.flush_result(await other.flushes())
            assert (result.computed_tokens == 0) is shares, adapter
            other.task.cancel()


async def test_an_adapter_that_was_replaced_shares_nothing_with_its_former_version() -> None:
    given = adapted("sql")
    async with on_stage(given["opening"], engine=given["engine"]) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        stage.engine.adapters["sql"] = "2"
        other = Stage(given["opening"], engine=stage.engine, backend=stage.backend)
        await other.types(TEXT)
        assert other.flush_result(await other.flushes()).cached_tokens > 0
        [new, old] = [view.runner._owner.view(stage.runner._owner.route.now) for view in (other, stage)]
        prompt = await other.runner._current_turn.prompts.base()
        assert new.names(prompt) != old.names(prompt)
        other.task.cancel()


async def test_sessions_that_are_placed_by_their_prompt_are_placed_by_their_adapter_too() -> None:
    routes = []
    for adapter in ("sql", "poems", "", "sql"):
        async with on_stage(**adapted(adapter), affinity="prompt") as stage:
            await stage.types(TEXT)
            await stage.flushes()
            routes.append(stage.warms[0].route)
    assert len(set(routes)) == 3
    assert routes[0] == routes[3]


async def test_an_answer_depends_on_the_adapter() -> None:
    answers = set()
    for adapter in ("sql", "poems", ""):
        async with on_stage(**adapted(adapter)) as stage:
            answers.add(stage.answer_text(await stage.does(Submit(TEXT))))
    assert len(answers) == 3


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        (Open((SYSTEM,), adapter="prose"), Reason.ADAPTER_NOT_FOUND),
        (Open((SYSTEM,), sampling=Sampling(structure=Structure("regex", "a"))), Reason.INVALID_SAMPLING),
        (Open((SYSTEM,), sampling=Sampling(stop_token_ids=(2**31,))), Reason.INVALID_SAMPLING),
    ],
)
async def test_what_the_engine_cannot_do_is_refused_before_anything_is_computed(opening: Open, reason: Reason) -> None:
    async with on_stage(opening) as stage:
        await stage.types("x")
        await stage.does(CharDelete())
        assert stage.refusal().reason is reason
        assert stage.said == []
        assert stage.engine.requests == []


async def test_an_engine_that_is_down_lets_a_session_open_and_says_so_at_submit() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.faults.down = True
    async with on_stage(Open((SYSTEM,), adapter="prose"), engine=engine) as stage:
        assert stage.all(Opened)
        seq = await stage.does(Submit(TEXT))
        assert stage.error(seq).reason is Reason.GENERATION_FAILED
