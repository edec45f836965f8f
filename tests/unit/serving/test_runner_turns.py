"""The turns of one session: what a client may send before we are done with the last, and what the next stands on."""

import asyncio

from forefill_service.engine import FakeEngine, Priority
from forefill_service.errors import Reason
from forefill_service.session.events import CharDelete
from forefill_service.session.responses import FlushOutcome, GenerationFinished, SessionError

from tests.support.stage import BLOCK, assistant, on_stage, settle, user

TEXT = "Show me all the patients that were seen in May "


# --- the client is quicker than our writes


async def test_submit_may_follow_an_answer_before_its_last_write_returns() -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        first = await stage.submits("one")
        while not stage.all(GenerationFinished):
            stage.client_gate.held = False
            stage.client_gate.step()
            stage.engine_gate.step()
            stage.client_gate.held = True
            await asyncio.sleep(0)
        second = await stage.submits("two")
        stage.client_gate.open()
        stage.engine_gate.open()
        await settle()
        assert stage.all(SessionError) == []
        turn = user("one"), assistant(stage.answer_text(first)), user("two")
        assert stage.generations[1].prompt_ids == stage.prompt_ids(*turn)
        assert stage.finished(second).reason == "stop"


async def test_submit_may_follow_a_refusal_before_its_write_returns() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.faults.refuse = {Priority.WARM: 1, Priority.GENERATION: 1}
    async with on_stage(engine=engine) as stage:
        stage.client_gate.held = True
        refused = await stage.submits(TEXT)
        assert stage.error(refused).reason is Reason.GENERATION_FAILED
        stage.render_gate.held = True
        again = await stage.submits(TEXT)
        stage.client_gate.open()
        await settle()
        stage.engine_gate.held = True
        stage.render_gate.open()
        await settle()
        assert len(stage.generations) == 2
        assert len(stage.warms) == 1, "only the refused one: no turn begins while an answer runs"
        stage.engine_gate.open()
        await settle()
        assert stage.finished(again).reason == "stop"


# --- the next turn


async def test_the_next_turn_stands_on_the_answer() -> None:
    async with on_stage() as stage:
        first = await stage.submits("one")
        second = await stage.submits("two")
        turn = user("one"), assistant(stage.answer_text(first)), user("two")
        assert stage.generations[1].prompt_ids == stage.prompt_ids(*turn)
        assert stage.finished(second).reason == "stop"


async def test_the_next_turns_base_is_warmed_with_the_answer_in_it() -> None:
    async with on_stage() as stage:
        first = await stage.submits("one")
        base = stage.warms[-1].prompt_ids
        whole = stage.prompt_ids(user("one"), assistant(stage.answer_text(first)), user("x"))
        assert base == whole[: len(base)]
        assert len(base) > stage.finished(first).prompt_tokens + stage.engine.answer_tokens


async def test_a_flush_during_an_answer_is_deferred_to_the_next_turn() -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        first = await stage.submits("one")
        await stage.types(TEXT)
        flush = await stage.flushes()
        result = stage.flush_result(flush)
        assert (result.outcome, result.confirmed_code_points) == (FlushOutcome.DEFERRED, len(TEXT))
        stage.engine_gate.open()
        await settle()
        warmed = stage.warms[-1].prompt_ids
        whole = stage.prompt_ids(user("one"), assistant(stage.answer_text(first)), user(TEXT + "and so"))
        assert warmed == whole[: len(warmed)]
        assert len(whole) - len(warmed) < BLOCK + len(stage.engine.chat.encode("and so<|end|>\n<|start|>assistant\n"))


async def test_an_edit_during_an_answer_warms_nothing_on_the_old_turn() -> None:
    async with on_stage() as stage:
        stage.engine_gate.held = True
        await stage.submits("one")
        for _ in range(2):  # the prompt, then a token: from here on warms are admitted again
            stage.engine_gate.step()
            await settle()
        await stage.types(TEXT)
        await stage.flushes()
        await stage.does(CharDelete(5))
        assert len(stage.warms) == 1, "the base prompt's"


async def test_every_turn_has_books_of_its_own() -> None:
    async with on_stage() as stage:
        first = await stage.submits("one")
        second = await stage.submits("two")
        assert stage.finished(first).ledger.warms == 1
        assert stage.finished(second).ledger.warms == 1
        assert stage.finished(second).ledger.used == stage.finished(second).ledger.computed
