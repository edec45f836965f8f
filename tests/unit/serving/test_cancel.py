"""Answers that are stopped, and conversations that are changed."""

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.errors import Reason
from forefill_service.session.events import Cancel, CharAdd, End, Open, Rewrite
from forefill_service.session.responses import CANCELLED, GenerationDelta, GenerationFinished, GenerationStarted, Source

from tests.support.pausing import ANSWER_TOKENS, TEXT, begins, deltas, pausing, steps
from tests.support.stage import SYSTEM, Stage, assistant, on_stage, settle, user


async def asks(stage: Stage, tokens: int) -> int:
    """Submit, and have this many tokens of the answer generated."""
    stage.engine_gate.held = True
    seq = await stage.submits(TEXT)
    await steps(stage, 1 + tokens if tokens else 0)
    assert len(deltas(stage, seq)) == tokens
    return seq


async def goes_on(stage: Stage) -> None:
    stage.engine_gate.open()
    await settle()


@pytest.mark.parametrize("keep_text", [True, False])
async def test_a_running_answer_stops_at_once_and_the_session_goes_on(keep_text: bool) -> None:
    async with on_stage() as stage:
        seq = await asks(stage, tokens=3)
        await stage.does(Cancel(keep_text))
        finished = stage.finished(seq)
        assert (finished.reason, finished.completion_tokens) == (CANCELLED, 3)
        assert stage.engine.aborted == 1
        await goes_on(stage)
        assert len(deltas(stage, seq)) == 3
        again = await stage.submits("two")
        turn = (user(TEXT), assistant("".join(deltas(stage, seq)))) if keep_text else ()
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(*turn, user("two"))
        assert stage.finished(again).reason == "stop"


async def test_it_stops_before_its_first_token() -> None:
    async with on_stage() as stage:
        seq = await asks(stage, tokens=0)
        await stage.does(Cancel(keep_text=True))
        finished = stage.finished(seq)
        assert (finished.reason, finished.completion_tokens, finished.ttft_seconds) == (CANCELLED, 0, 0)
        assert (stage.all(GenerationStarted), stage.all(GenerationDelta)) == ([], [])
        assert stage.engine.aborted == 1
        await goes_on(stage)
        await stage.submits("two")
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(user("two")), "nothing came, so nothing is kept"


async def test_it_stops_while_its_prompt_is_made() -> None:
    async with on_stage() as stage:
        stage.render_gate.held = True
        seq = await stage.submits(TEXT)
        await stage.does(Cancel(keep_text=True))
        assert (stage.finished(seq).reason, stage.finished(seq).prompt_tokens) == (CANCELLED, 0)
        stage.render_gate.open()
        await settle()
        assert stage.generations == []
        assert stage.finished(await stage.submits(TEXT)).reason == "stop"


async def test_what_a_stopped_answer_computed_is_found_by_the_next() -> None:
    async with on_stage() as stage:
        await asks(stage, tokens=5)
        await stage.does(Cancel(keep_text=True))
        await goes_on(stage)
        again = await stage.submits("two")
        turn = stage.prompt_ids(user(TEXT))
        assert stage.finished(again).cached_tokens >= len(turn) // 4 * 4


async def test_the_books_of_a_stopped_answer_are_closed_once() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        seq = await asks(stage, tokens=2)
        await stage.does(Cancel(keep_text=True))
        ledger = stage.finished(seq).ledger
        assert (ledger.warms, ledger.used) == (2, ledger.computed)
        await goes_on(stage)
        assert stage.finished(await stage.submits("two")).ledger.used <= stage.finished(seq).prompt_tokens


async def test_an_answer_that_was_begun_before_submit_stops_too() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        seq = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        await stage.does(Cancel(keep_text=True))
        finished = stage.finished(seq)
        assert finished.reason == CANCELLED
        assert finished.ledger.adopted + finished.ledger.discarded == finished.ledger.pregenerated
        assert stage.engine.aborted == 1
        await goes_on(stage)
        said = "".join(deltas(stage, seq))
        await stage.submits("two")
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(user(TEXT), assistant(said), user("two"))


async def test_an_answer_that_has_ended_cannot_be_stopped_and_stays() -> None:
    async with on_stage() as stage:
        seq = await stage.submits(TEXT)
        late = await stage.does(Cancel(keep_text=False))
        assert stage.error(late).reason is Reason.NOTHING_TO_CANCEL
        await stage.submits("two")
        turn = user(TEXT), assistant("".join(deltas(stage, seq)))
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(*turn, user("two"))


async def test_a_cancel_that_comes_while_the_last_part_is_written_changes_nothing() -> None:
    async with on_stage() as stage:
        stage.client_gate.held = True
        seq = await stage.submits(TEXT)
        for _ in range(ANSWER_TOKENS):  # GenerationStarted, then all parts but the last
            stage.client_gate.step()
            await settle()
        await stage.does(Cancel(keep_text=False))
        stage.client_gate.open()
        await settle()
        assert (stage.finished(seq).reason, stage.finished(seq).completion_tokens) == ("stop", ANSWER_TOKENS)


async def test_an_answer_can_be_stopped_after_end() -> None:
    async with on_stage() as stage:
        seq = await asks(stage, tokens=2)
        await stage.does(End())
        await stage.does(Cancel(keep_text=False))
        assert stage.finished(seq).reason == CANCELLED
        assert stage.task.done()


async def test_a_failed_submit_leaves_its_text_as_the_draft() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.engine.faults.down = True
        failed = await stage.submits()
        assert stage.error(failed).draft_code_points == len(TEXT)
        stage.engine.faults.down = False
        requests = len(stage.engine.requests)
        await stage.pauses()
        assert len(stage.engine.requests) == requests, "nobody has asked for anything"
        answered = await stage.submits()
        assert stage.finished(answered).reason == "stop"
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(user(TEXT))


async def test_a_rewritten_conversation_is_what_the_next_answer_stands_on() -> None:
    async with on_stage() as stage:
        seq = await stage.submits(TEXT)
        await stage.submits("two")
        await stage.does(CharAdd("three"))
        await stage.does(Rewrite(3, (user("other"), assistant("yes"))))
        answered = await stage.submits()
        turn = user(TEXT), assistant("".join(deltas(stage, seq)))
        prompt = stage.prompt_ids(*turn, user("other"), assistant("yes"), user("three"))
        assert stage.generations[-1].prompt_ids == prompt
        kept = len(stage.prompt_ids(*turn)) // 4 * 4
        assert stage.finished(answered).cached_tokens >= kept - 4, "what both begin with is found"


async def test_a_rewritten_conversation_is_warmed() -> None:
    async with on_stage() as stage:
        long = " ".join(["word"] * 20)
        await stage.does(Rewrite(1, (user(long), assistant("yes"))))
        assert len(stage.warms) == 2
        assert len(stage.warms[1].prompt_ids) > 20


async def test_a_rewrite_while_an_answer_runs_is_refused() -> None:
    async with on_stage() as stage:
        await asks(stage, tokens=1)
        refused = await stage.does(Rewrite(0, ()))
        assert stage.error(refused).reason is Reason.GENERATION_RUNNING
        await goes_on(stage)
        assert len(stage.all(GenerationFinished)) == 1


async def test_a_rewrite_names_what_is_wrong_with_it() -> None:
    async with on_stage(Open((SYSTEM,), sampling=Sampling(max_tokens=3))) as stage:
        refused = await stage.does(Rewrite(5, ()))
        error = stage.error(refused)
        assert error.reason is Reason.INVALID_REWRITE
        assert "keep_messages is 5, of 1 messages" in error.message
