"""Pre-generation of one session: when an answer is begun before SUBMIT, what stops it, and what SUBMIT makes of it."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from forefill_service.engine import EngineLoad, FakeEngine, Output, Priority, Request
from forefill_service.errors import Reason
from forefill_service.session.events import CharAdd, CharDelete, Open, PregenerationMode, Replace
from forefill_service.session.responses import GenerationStarted, SessionError, Source

from tests.support.pausing import TEXT, begins, deltas, pausing, plain_answer
from tests.support.stage import BLOCK, SYSTEM, settle, user

# --- when it begins


async def test_in_a_pause_the_answer_to_the_draft_is_begun_below_generations() -> None:
    async with pausing() as stage:
        await stage.types(TEXT)
        assert stage.pregenerations == []
        await stage.pauses()
        [asked] = stage.pregenerations
        assert asked.prompt_ids == stage.prompt_ids(user(TEXT))
        assert Priority.GENERATION < asked.priority < Priority.WARM


async def test_every_key_begins_the_pause_anew() -> None:
    async with pausing() as stage:
        for word in TEXT.split():
            await stage.types(word)
            await stage.pauses(0.6)
        assert stage.pregenerations == []
        await stage.pauses(0.6)
        assert len(stage.pregenerations) == 1


async def test_typing_costs_one_timer_however_many_keys() -> None:
    async with pausing() as stage:
        for word in TEXT:
            await stage.types(word)
        assert len(stage.time_gate.waiting) == 1


async def test_a_draft_to_resume_from_is_begun_too() -> None:
    async with pausing(Open((SYSTEM,), draft=TEXT)) as stage:
        await stage.pauses()
        assert len(stage.pregenerations) == 1


async def test_nothing_is_begun_for_an_empty_draft() -> None:
    async with pausing() as stage:
        await stage.pauses()
        await stage.types("a")
        await stage.does(CharDelete())
        await stage.pauses()
        assert stage.pregenerations == []


async def test_nothing_is_begun_while_an_answer_runs_but_after_it() -> None:
    async with pausing() as stage:
        stage.engine_gate.held = True
        await stage.submits("one")
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.pregenerations == []
        stage.engine_gate.open()
        await settle()
        await stage.pauses()
        assert len(stage.pregenerations) == 1


@pytest.mark.parametrize("settings", [{"pregeneration": False}, {"pregenerations_in_flight": 0}])
async def test_the_operator_can_turn_it_off(settings: dict[str, Any]) -> None:
    async with pausing(**settings) as stage:
        await begins(stage)
        assert stage.pregenerations == []


async def test_a_session_can_turn_it_off() -> None:
    async with pausing(Open((SYSTEM,), pregeneration_mode=PregenerationMode.OFF)) as stage:
        await begins(stage)
        assert stage.pregenerations == []


async def test_it_needs_no_warming() -> None:
    async with pausing(inert_reason="prefix caching is off") as stage:
        await stage.types("one")
        await stage.pauses()
        assert len(stage.pregenerations) == 1


async def test_a_draft_is_tried_anew_at_every_silence() -> None:
    async with pausing() as stage:
        words = TEXT.split()
        for word in words:
            await stage.types(word)
            await stage.pauses()
        assert len(stage.pregenerations) == len(words)


async def test_under_load_nothing_is_begun_and_submit_works_as_always() -> None:
    async with pausing() as stage:
        stage.engine.load = EngineLoad(waiting=1000)
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.pregenerations == []
        assert stage.finished(await stage.submits()).reason == "stop"


async def test_a_prompt_that_cannot_be_rendered_is_submits_problem() -> None:
    async with pausing(engine=FakeEngine(block_size=BLOCK, context_tokens=40)) as stage:
        await stage.types("word " * 40)
        await stage.pauses()
        assert stage.all(SessionError) == []
        assert stage.error(await stage.submits()).reason is Reason.PROMPT_TOO_LONG
        assert stage.finished(await stage.submits("word")).reason == "stop"


# --- nothing leaves before SUBMIT


async def test_nothing_of_it_is_said_before_submit() -> None:
    async with pausing() as stage:
        await stage.types(TEXT)
        said, metrics = list(stage.said), stage.samples()
        await stage.pauses()
        assert len(stage.pregenerations) == 1
        assert stage.said == said
        admission = {
            "forefill_admissions_total pregeneration admitted",
            "forefill_admission_wait_seconds_count pregeneration",
        }
        assert stage.samples() == metrics | dict.fromkeys(admission, 1), "nothing but that it was admitted"


# --- an edit


@pytest.mark.parametrize("edit", [CharAdd("!"), CharDelete(), Replace(0, 4, "List")])
@pytest.mark.parametrize("tokens", [0, 3])
async def test_an_edit_aborts_what_runs_at_once(edit: Any, tokens: int) -> None:
    async with pausing() as stage:
        await begins(stage, tokens=tokens)
        await stage.does(edit)
        assert stage.engine.aborted == 1


async def test_an_edit_that_leaves_the_same_text_aborts_nothing() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=1)
        await stage.does(Replace(0, 4, TEXT[:4]))
        assert stage.engine.aborted == 0


@pytest.mark.parametrize("held", ["render_gate", "engine_gate"])
async def test_what_has_not_reached_the_engine_is_withdrawn(held: str) -> None:
    async with pausing() as stage:
        await stage.types(TEXT)
        if held == "render_gate":
            stage.render_gate.held = True
        else:
            stage.engine_gate.held = True
            await stage.flushes(len(TEXT))  # a warm of this session is in flight
        await stage.pauses()
        await stage.types("!")
        stage.render_gate.open()
        stage.engine_gate.open()
        await settle()
        assert stage.pregenerations == []
        assert stage.finished(await stage.submits()).ledger.pregenerations == 0


async def test_the_end_of_the_session_does_not_cut_an_abort_short() -> None:
    async with pausing(seam=SlowToAbort) as stage:
        await begins(stage, tokens=1)
        stage.put(CharAdd("!"))
        stage.put(CharAdd("?"))
        await stage.hangs_up()
        assert stage.task.done()
        assert SlowToAbort.aborts == [True]


async def test_an_edit_while_the_turns_prompt_is_in_the_making_leaves_it_to_submit() -> None:
    async with pausing() as stage:
        stage.engine_gate.held = True
        await stage.submits("one")
        await stage.types(TEXT)
        stage.render_gate.held = True
        stage.engine_gate.open()
        await settle()
        await stage.pauses()
        await stage.types("!")
        seq = await stage.submits()
        stage.render_gate.open()
        await settle()
        assert stage.finished(seq).reason == "stop"


class SlowToAbort:
    """Takes a while to abort, as an engine in another process does."""

    aborts: list[bool]

    def __init__(self, engine: FakeEngine) -> None:
        SlowToAbort.aborts = []
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        outputs = self.engine.generate(request)
        try:
            async for output in outputs:
                yield output
        except (asyncio.CancelledError, GeneratorExit):
            self.aborts.append(False)
            for _ in range(3):
                await asyncio.sleep(0)
            self.aborts[-1] = True
            raise
        finally:
            await outputs.aclose()


async def test_what_had_ended_is_kept_for_a_text_that_comes_back() -> None:
    async with pausing(pregeneration_tokens=3) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        await stage.types("!")
        await stage.does(CharDelete())
        await stage.pauses()
        assert len(stage.pregenerations) == 1
        seq = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert "".join(deltas(stage, seq)) == await plain_answer()
