"""One session on one engine: what becomes of each event, whatever runs meanwhile."""

from collections.abc import AsyncGenerator

import pytest
from forefill_service.engine import FakeEngine, Output, Priority, Request
from forefill_service.errors import Reason
from forefill_service.session.events import CacheScope, CharAdd, End, Flush, Open, Submit, WarmMode
from forefill_service.session.responses import (
    FlushOutcome,
    FlushResult,
    GenerationDelta,
    GenerationFinished,
    GenerationStarted,
    Opened,
    SessionError,
)

from tests.support.stage import BLOCK, SYSTEM, on_stage, settle, user

TEXT = "Show me all the patients that were seen in May "


# --- open


async def test_open_is_answered_before_anything_is_warmed() -> None:
    async with on_stage() as stage:
        [opened] = stage.all(Opened)
        assert stage.said[0] is opened
        one, other = stage.prompt_ids(user("x")), stage.prompt_ids(user("y"))
        assert one[: opened.base_prompt_tokens] == other[: opened.base_prompt_tokens]
        assert one[opened.base_prompt_tokens] != other[opened.base_prompt_tokens]


async def test_the_base_prompt_is_warmed_at_open() -> None:
    async with on_stage() as stage:
        [base] = stage.warms
        tokens = stage.all(Opened)[0].base_prompt_tokens
        assert base.prompt_ids == stage.prompt_ids(user("x"))[: tokens - tokens % BLOCK]


async def test_the_base_prompt_is_warmed_in_pieces() -> None:
    async with on_stage(piece_tokens=2 * BLOCK) as stage:
        assert [len(warm.prompt_ids) for warm in stage.warms] == [8, 16]


async def test_a_base_prompt_that_does_not_fit_ends_the_session() -> None:
    async with on_stage(engine=FakeEngine(block_size=BLOCK, context_tokens=10)) as stage:
        assert stage.refusal().reason is Reason.PROMPT_TOO_LONG
        assert stage.said == []


async def test_a_draft_to_resume_from_is_warmed_to_its_last_word() -> None:
    async with on_stage(Open((SYSTEM,), draft=TEXT + "unfini")) as stage:
        seq = await stage.flushes()
        assert stage.flush_result(seq).outcome is FlushOutcome.NOTHING_NEW
        assert stage.flush_result(seq).cached_tokens == len(stage.warms[-1].prompt_ids)


# --- submit


async def test_submit_asks_for_exactly_the_rendered_conversation() -> None:
    async with on_stage() as stage:
        await stage.submits(TEXT)
        assert stage.generations[0].prompt_ids == stage.prompt_ids(user(TEXT))


async def test_an_answer_is_started_told_and_finished() -> None:
    async with on_stage() as stage:
        seq = await stage.submits(TEXT)
        [started], finished = stage.all(GenerationStarted), stage.finished(seq)
        kinds = [type(response) for response in stage.said[1:]]
        assert kinds == [GenerationStarted, *[GenerationDelta] * finished.completion_tokens, GenerationFinished]
        assert finished.completion_tokens == stage.engine.answer_tokens
        assert finished.reason == "stop"
        assert finished.prompt_tokens == started.prompt_tokens == len(stage.generations[0].prompt_ids)
        assert finished.cached_tokens == started.cached_tokens == len(stage.warms[0].prompt_ids)
        assert finished.ttft_seconds == started.ttft_seconds
        assert 0 < finished.render_seconds < finished.ttft_seconds < finished.total_seconds


async def test_submit_while_warming_sends_generation_at_once() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.engine_gate.held = True
        await stage.flushes()
        assert len(stage.warms) == 2
        await stage.submits()
        assert len(stage.generations) == 1, "the warm has not moved"
        assert stage.engine.aborted == 0


async def test_a_warm_that_is_a_prefix_of_the_submitted_prompt_goes_on() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.engine_gate.held = True
        flush = await stage.flushes()
        submit = await stage.submits()
        stage.engine_gate.open()
        await settle()
        assert stage.engine.aborted == 0
        assert stage.flush_result(flush).outcome is FlushOutcome.WARMED
        assert stage.finished(submit).cached_tokens == stage.flush_result(flush).cached_tokens


async def test_a_warm_that_is_no_prefix_of_the_submitted_prompt_is_dropped() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.engine_gate.held = True
        flush = await stage.flushes()
        submit = await stage.submits("List " + TEXT)
        assert stage.engine.aborted == 1
        assert stage.flush_result(flush).outcome is FlushOutcome.DEFERRED
        stage.engine_gate.open()
        await settle()
        ledger = stage.finished(submit).ledger
        assert ledger.used == stage.finished(submit).cached_tokens
        assert ledger.edited_away + ledger.evicted == len(stage.warms[1].prompt_ids) - len(stage.warms[0].prompt_ids)
        assert ledger.edited_away > 0


async def test_a_warm_that_outlives_the_answer_is_stopped_with_it() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        flush = await stage.flushes()
        await stage.types(TEXT)
        stage.engine_gate.held = True
        late = await stage.flushes()
        stage.engine_gate.step()  # its blocks are cached, its one token is not drawn yet
        await settle()
        [token_of_the_warm] = stage.engine_gate.waiting
        submit = await stage.submits()
        while not stage.all(GenerationFinished):
            stage.engine_gate.step(1)
            await settle()
            assert token_of_the_warm in stage.engine_gate.waiting or stage.all(GenerationFinished)
        assert stage.engine.aborted == 1
        assert stage.flush_result(flush).outcome is FlushOutcome.WARMED
        assert stage.flush_result(late).outcome is FlushOutcome.DEFERRED
        ledger = stage.finished(submit).ledger
        assert (ledger.warms, ledger.used) == (3, stage.finished(submit).cached_tokens)


async def test_submit_during_a_rendering_answers_the_flush_and_the_submit() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        stage.render_gate.held = True
        flush = await stage.flushes()
        submit = await stage.submits()
        assert len(stage.render_gate.waiting) == 2
        stage.engine_gate.held = True
        stage.render_gate.open()
        await settle()
        assert stage.flush_result(flush).outcome is FlushOutcome.DEFERRED
        stage.engine_gate.open()
        await settle()
        assert stage.finished(submit).ledger.warms == 1
        assert len(stage.generations) == 1


async def test_a_prompt_that_does_not_fit_is_refused_and_the_turn_goes_on() -> None:
    async with on_stage(engine=FakeEngine(block_size=BLOCK, context_tokens=40)) as stage:
        long = await stage.submits("word " * 40)
        assert stage.error(long).reason is Reason.PROMPT_TOO_LONG
        short = await stage.submits("word")
        assert stage.finished(short).prompt_tokens < 40


async def test_a_refused_generation_can_be_submitted_again() -> None:
    async with on_stage() as stage:
        stage.engine.faults.refuse = {Priority.GENERATION: 1}
        refused = await stage.submits(TEXT)
        assert stage.error(refused).reason is Reason.GENERATION_FAILED
        answered = await stage.submits(TEXT)
        assert stage.generations[0].prompt_ids == stage.generations[1].prompt_ids
        assert stage.finished(answered).ledger.warms == 1, "the turn's books stay open"


class Unfinished(FakeEngine):
    """Ends an answer without a reason, as an engine does that is told to abort it."""

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        async for output in super().generate(request):
            reason = self.reason if request.priority is Priority.GENERATION else output.finish_reason
            yield Output(output.text, output.token_ids, output.cached_tokens, reason)

    reason: str | None = None


@pytest.mark.parametrize("reason", [None, "abort", "error"])
async def test_an_answer_that_breaks_off_is_a_failed_one(reason: str | None) -> None:
    engine = Unfinished(block_size=BLOCK)
    engine.reason = reason
    async with on_stage(engine=engine) as stage:
        broken = await stage.submits(TEXT)
        assert stage.error(broken).reason is Reason.GENERATION_INTERRUPTED
        assert stage.all(GenerationFinished) == []
        engine.reason = "stop"
        await stage.submits(TEXT)
        assert stage.generations[0].prompt_ids == stage.generations[1].prompt_ids


# --- what a session may ask for


async def test_warm_mode_off_sends_no_warm_and_says_so() -> None:
    async with on_stage(Open((SYSTEM,), warm_mode=WarmMode.OFF)) as stage:
        assert "WARM_MODE_OFF" in stage.all(Opened)[0].warming_inert_reason
        await stage.types(TEXT)
        flush = await stage.flushes()
        stage.engine_gate.held = True
        submit = await stage.submits()
        meanwhile = await stage.flushes()
        stage.engine_gate.open()
        await settle()
        assert stage.warms == []
        assert stage.flush_result(flush).outcome is FlushOutcome.INERT
        assert stage.flush_result(meanwhile).outcome is FlushOutcome.INERT
        assert stage.finished(submit).cached_tokens == stage.finished(submit).ledger.warms == 0


async def test_where_warming_is_inert_nothing_is_warmed() -> None:
    async with on_stage(inert_reason="prefix caching is off") as stage:
        assert stage.all(Opened)[0].warming_inert_reason == "prefix caching is off"
        await stage.types(TEXT)
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.INERT
        assert stage.warms == []


async def test_where_warming_has_become_inert_nothing_more_is_warmed_until_it_works_again() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.WARMED
        warms = len(stage.warms)
        stage.replica.inert_reason = "prefix caching is off"
        await stage.types(TEXT)
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.INERT
        assert len(stage.warms) == warms
        stage.replica.inert_reason = ""
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.WARMED


async def test_a_cache_scope_of_one_session_has_a_salt_that_nobody_chose() -> None:
    salts = set()
    for _ in range(2):
        async with on_stage(Open((SYSTEM,), cache_scope=CacheScope.SESSION, session_key="mine")) as stage:
            await stage.submits("one")
            salts |= {request.cache_salt for request in stage.engine.requests}
            assert stage.finished(1).cached_tokens > 0
    assert len(salts) == 2
    assert None not in salts
    assert "mine" not in salts


async def test_a_secret_gives_the_same_salt_to_all_who_bring_it_in_one_tenant_and_to_no_others() -> None:
    async def salt(secret: bytes, tenant: str) -> str | None:
        opening = Open((SYSTEM,), cache_scope=CacheScope.SESSION, cache_secret=secret)
        async with on_stage(opening, tenant=tenant) as stage:
            await stage.submits("one")
            [salt] = {request.cache_salt for request in stage.engine.requests}
        return salt

    holders = b"a" * 16, b"b" * 16
    salts = {(secret, tenant): await salt(secret, tenant) for secret in holders for tenant in ("", "acme")}
    assert len(set(salts.values())) == 4
    assert salts == {key: await salt(*key) for key in salts}
    assert not any(secret.decode() in (said or "") for secret in holders for said in salts.values())
    assert "aaaa" not in repr(Open(cache_secret=b"a" * 16))


async def test_a_shared_cache_scope_has_no_salt_of_its_own() -> None:
    async with on_stage() as stage:
        await stage.submits("one")
        assert {request.cache_salt for request in stage.engine.requests} == {None}


# --- refused events


async def test_every_refused_event_is_answered_once() -> None:
    async with on_stage() as stage:
        empty = await stage.does(Submit())
        diverged = await stage.does(Flush(5, 0))
        assert [error.seq for error in stage.all(SessionError)] == [empty, diverged]
        assert stage.all(FlushResult) == []
        await stage.does(CharAdd("a"))
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.NOTHING_NEW


async def test_the_metrics_tell_what_happened() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        await stage.flushes()
        await stage.does(Flush(1, 0))
        submit = await stage.submits()
        ledger = stage.finished(submit).ledger
        await stage.does(End())
        answered = stage.finished(submit).prompt_tokens + stage.finished(submit).completion_tokens
        next_base = len(stage.warms[-1].prompt_ids) - (answered - 1) // BLOCK * BLOCK
        assert stage.samples() == {
            "forefill_replica_up fake": 1,
            "forefill_max_sessions": 1000,
            "forefill_flushes_total warmed": 1,
            "forefill_flushes_total nothing_new": 1,
            "forefill_errors_total draft_diverged": 1,
            "forefill_turns_total agrees": 2,
            "forefill_generations_total warm": 1,
            "forefill_ttft_seconds_count warm": 1,
            "forefill_warms_total computed": 3,
            "forefill_admissions_total warm admitted": 3,
            "forefill_admission_wait_seconds_count warm": 3,
            "forefill_engine_state fake up": 1,
            "forefill_events_total open": 1,
            "forefill_events_total char_add": 1,
            "forefill_events_total flush": 3,
            "forefill_events_total submit": 1,
            "forefill_events_total end": 1,
            "forefill_warm_tokens_total used": ledger.used,
            "forefill_answer_engine_seconds_total": ledger.answer_engine_seconds,
            "forefill_warm_tokens_total abandoned": next_base,
        }
