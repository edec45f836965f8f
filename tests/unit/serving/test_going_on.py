"""Answers that go on after what a client has of them from a stream that broke."""

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.engine import FakeEngine
from forefill_service.errors import Reason
from forefill_service.session.events import Cancel, Open, Submit
from forefill_service.session.responses import CANCELLED

from tests.support.other_chat import OtherChat
from tests.support.pausing import ANSWER_TOKENS, TEXT, begins, deltas, pausing, plain_answer, steps
from tests.support.stage import BLOCK, SYSTEM, assistant, on_stage, user


async def parts(count: int) -> tuple[str, str]:
    """The first parts of the answer to TEXT, as many as that, and the rest."""
    async with on_stage() as stage:
        said = deltas(stage, await stage.submits(TEXT))
    return "".join(said[:count]), "".join(said[count:])


@pytest.mark.parametrize("count", [1, 3, ANSWER_TOKENS - 1])
async def test_an_answer_goes_on_where_it_was_broken_off(count: int) -> None:
    said, rest = await parts(count)
    async with on_stage() as stage:
        seq = await stage.does(Submit(TEXT, said))
        assert "".join(deltas(stage, seq)) == rest
        assert stage.generations[0].prompt_ids == [
            *stage.prompt_ids(user(TEXT)),
            *stage.engine.chat.encode(said),
        ]
        assert stage.finished(seq).completion_tokens == ANSWER_TOKENS - count
        await stage.submits("two")
        assert stage.generations[1].prompt_ids == stage.prompt_ids(user(TEXT), assistant(said + rest), user("two"))


async def test_what_is_there_counts_for_the_length_that_was_asked_for() -> None:
    said, rest = await parts(2)
    async with on_stage(Open((SYSTEM,), sampling=Sampling(max_tokens=5, min_tokens=4))) as stage:
        seq = await stage.does(Submit(TEXT, said))
        assert stage.generations[0].sampling == Sampling(max_tokens=3, min_tokens=2)
        assert (stage.finished(seq).reason, stage.finished(seq).completion_tokens) == ("length", 3)
        assert rest.startswith("".join(deltas(stage, seq)))


async def test_where_all_is_there_nothing_is_asked_of_the_engine() -> None:
    said, _ = await parts(5)
    async with on_stage(Open((SYSTEM,), sampling=Sampling(max_tokens=5))) as stage:
        seq = await stage.does(Submit(TEXT, said))
        assert (stage.finished(seq).reason, stage.finished(seq).completion_tokens) == ("length", 0)
        assert stage.generations == []
        await stage.submits("two")
        assert stage.generations[0].prompt_ids == stage.prompt_ids(user(TEXT), assistant(said), user("two"))


async def test_what_was_begun_before_submit_is_for_an_answer_from_its_beginning() -> None:
    said, rest = await parts(2)
    async with pausing() as stage:
        await begins(stage, tokens=3)
        seq = stage.put(Submit(TEXT, said))
        stage.engine_gate.open()
        await steps(stage, 1)
        assert "".join(deltas(stage, seq)) == rest
        assert stage.finished(seq).ledger.adopted == 0
    assert said + rest == await plain_answer()


async def test_an_answer_that_goes_on_can_be_stopped_and_keeps_all_that_was_said() -> None:
    said, _ = await parts(2)
    async with on_stage() as stage:
        stage.engine_gate.held = True
        seq = await stage.does(Submit(TEXT, said))
        await steps(stage, 3)
        await stage.does(Cancel(keep_text=True))
        assert stage.finished(seq).reason == CANCELLED
        stage.engine_gate.open()
        await stage.submits("two")
        turn = user(TEXT), assistant(said + "".join(deltas(stage, seq)))
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(*turn, user("two"))


async def test_where_only_the_engine_knows_the_prompt_an_answer_cannot_go_on() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.chat = OtherChat()
    engine.chat_endpoint.in_process = False
    async with on_stage(engine=engine) as stage:
        seq = await stage.does(Submit(TEXT, "said"))
        error = stage.error(seq)
        assert error.reason is Reason.GENERATION_FAILED
        assert "cannot go on" in error.message
        assert error.draft_code_points == len(TEXT)
