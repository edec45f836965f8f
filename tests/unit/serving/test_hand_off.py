"""Hand-offs: what an application is told to ask the engine itself, what stops for that, and the books."""

from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage
from forefill_service.engine import FakeEngine, Priority, Request
from forefill_service.errors import EngineRefused, Reason
from forefill_service.session.events import (
    CacheScope,
    Cancel,
    CharAdd,
    End,
    HandOff,
    HandOffFinished,
    Open,
    ReportedUsage,
    WarmMode,
)
from forefill_service.session.ledger import Balance
from forefill_service.session.responses import (
    CANCELLED,
    HANDED_OFF,
    FlushOutcome,
    GenerationFinished,
    HandedOff,
    SessionError,
)

from tests.support.other_chat import OtherChat
from tests.support.pausing import TEXT, begins
from tests.support.stage import BLOCK, SYSTEM, Stage, assistant, on_stage, settle, user

URL = "http://vllm:8000"


def handing_off(*args: Any, **kwargs: Any) -> AbstractAsyncContextManager[Stage]:
    return on_stage(*args, **{"hand_off_url": [URL], **kwargs})


async def hands_off(stage: Stage, text: str | None = None) -> HandedOff:
    """Press Enter, and return what the application is told."""
    stage.draft = ""
    seq = await stage.does(HandOff(text))
    [told] = [told for told in stage.all(HandedOff) if told.seq == seq]
    return told


async def found_by_the_application(stage: Stage, told: HandedOff, text: str) -> int:
    """Ask the engine as the application does; return the tokens that it found cached."""
    request = Request(stage.prompt_ids(user(text)), Sampling(), Priority.GENERATION, told.cache_salt or None)
    async with aclosing(stage.engine.generate(request)) as outputs:
        async for output in outputs:
            cached = output.cached_tokens
    assert cached is not None
    return cached


def answer_of(text: str) -> tuple[ChatMessage, ...]:
    return user(text), assistant("SELECT 1")


# --- what is told


@pytest.mark.parametrize(
    ("opening", "tenant"),
    [(Open((SYSTEM,)), ""), (Open((SYSTEM,)), "clinic"), (Open((SYSTEM,), cache_scope=CacheScope.SESSION), "clinic")],
)
async def test_what_is_told_finds_every_whole_block_that_was_warmed(opening: Open, tenant: str) -> None:
    async with handing_off(opening, tenant=tenant) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        told = await hands_off(stage)
        assert (told.base_url, told.model, told.headers) == (f"{URL}/v1", "fake", {})
        assert told.cache_salt == (stage.warms[0].cache_salt or "")
        assert bool(told.cache_salt) is bool(tenant)
        assert told.prompt_tokens == len(stage.prompt_ids(user(TEXT)))
        assert 0 < told.cached_tokens == await found_by_the_application(stage, told, TEXT)


async def test_the_last_token_of_a_prompt_is_never_found_though_its_block_is_cached() -> None:
    async with handing_off() as stage:
        text = next(
            text for count in range(BLOCK) if len(stage.prompt_ids(user(text := TEXT + " so" * count))) % BLOCK == 0
        )
        await stage.submits(text)
        await stage.hangs_up()
        async with handing_off(backend=stage.backend, hand_off_url=[URL]) as again:
            told = await hands_off(again, text)
            assert told.cached_tokens == told.prompt_tokens - BLOCK


async def test_without_an_address_it_is_refused_and_the_draft_stays() -> None:
    async with on_stage() as stage:
        await stage.types(TEXT)
        seq = await stage.does(HandOff())
        error = stage.error(seq)
        assert (error.reason, error.draft_code_points) == (Reason.HAND_OFF_NOT_OFFERED, len(TEXT))
        assert stage.generations == []
        assert stage.finished(await stage.submits()).reason == "stop"


async def test_tenants_are_told_salts_that_nobody_can_guess() -> None:
    told = []
    for tenant, secret in [("clinic", "one"), ("clinic", "other"), ("bank", "one")]:
        async with handing_off(tenant=tenant, cache_salt_secret=secret) as stage:
            told.append((await hands_off(stage, TEXT)).cache_salt)
    assert len(set(told)) == 3
    assert all(len(salt) == 64 for salt in told), "vLLM accepts up to 128 characters"


async def test_a_prompt_that_only_the_engine_makes_is_told_without_its_length() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.in_process, engine.chat_endpoint.silent = False, True
    async with handing_off(engine=engine) as stage:
        told = await hands_off(stage, TEXT)
        assert told.prompt_tokens == 0
        assert 0 < told.cached_tokens <= await found_by_the_application(stage, told, TEXT)


async def test_what_was_warmed_of_a_draft_is_used_though_only_the_engine_makes_the_prompt() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.chat, engine.chat_endpoint.in_process = OtherChat(), False
    async with handing_off(engine=engine) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        told = await hands_off(stage)
        assert told.prompt_tokens == 0
        assert told.cached_tokens == len(stage.warms[-1].prompt_ids)
        await stage.does(HandOffFinished(answer_of(TEXT)))
        ledger = stage.finished(told.seq).ledger
        assert ledger.used == ledger.computed > 0


@pytest.mark.parametrize("reported", [None, 9])
async def test_no_more_is_found_than_the_applications_prompt_has(reported: int | None) -> None:
    async with handing_off() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        told = await hands_off(stage)
        assert told.cached_tokens > 8
        await stage.does(HandOffFinished(answer_of(TEXT), ReportedUsage(8, reported, 3)))
        assert stage.finished(told.seq).cached_tokens == 8


@pytest.mark.parametrize(
    ("knobs", "text"),
    [({"fails": EngineRefused("no")}, TEXT), ({"refuses": "no"}, TEXT), ({}, "so " * 9000)],
    ids=["cannot be asked", "refuses", "too long"],
)
async def test_nothing_about_the_prompt_stops_it(knobs: dict[str, Any], text: str) -> None:
    engine = FakeEngine(block_size=BLOCK)
    for name, value in knobs.items():
        setattr(engine.chat_endpoint, name, value)
    async with handing_off(engine=engine) as stage:
        assert (await hands_off(stage, text)).prompt_tokens == 0
        assert stage.all(SessionError) == []
        await stage.does(HandOffFinished(answer_of("so")))
        assert stage.all(GenerationFinished)[0].reason == HANDED_OFF


# --- what stops for it


async def test_a_warm_that_waits_is_withdrawn_and_one_that_leads_the_prompt_goes_on() -> None:
    async with handing_off(piece_tokens=BLOCK) as stage:
        await stage.flushes()
        stage.engine_gate.held = True
        await stage.types(TEXT)
        flush = await stage.flushes()
        sent = len(stage.warms)
        await hands_off(stage)
        stage.engine_gate.open()
        await settle()
        assert stage.flush_result(flush).outcome is FlushOutcome.DEFERRED
        assert (len(stage.warms), stage.engine.aborted) == (sent, 0)


async def test_a_warm_of_another_text_makes_way() -> None:
    async with handing_off() as stage:
        await stage.flushes()
        stage.engine_gate.held = True
        await stage.types(TEXT)
        await stage.flushes()
        await hands_off(stage, "List the doctors")
        assert stage.engine.aborted == 1


async def test_an_answer_that_was_begun_is_dropped_and_none_is_begun_until_a_submit() -> None:
    async with handing_off(pregeneration=True) as stage:
        await begins(stage, tokens=3)
        told = await hands_off(stage)
        assert stage.engine.aborted == 1
        stage.engine_gate.open()
        await settle()
        await stage.does(HandOffFinished(answer_of(TEXT)))
        ledger = stage.finished(told.seq).ledger
        assert ledger.pregenerated == ledger.discarded >= 3
        begun = len(stage.pregenerations)
        await stage.types(TEXT)
        await stage.pauses()
        assert len(stage.pregenerations) == begun
        await stage.submits()
        await stage.types(TEXT)
        await stage.pauses()
        assert len(stage.pregenerations) == begun + 1


async def test_until_its_first_token_is_expected_nothing_speculative_starts() -> None:
    async with handing_off() as stage:
        admission = stage.replica.admission
        await hands_off(stage, TEXT)
        assert (admission.generations, admission.has_slot(Priority.WARM)) == (1, False)
        stage.time_gate.step()
        await settle()
        assert (admission.generations, admission.has_slot(Priority.WARM)) == (0, True)


async def test_it_counts_no_longer_when_it_is_finished() -> None:
    async with handing_off() as stage:
        await hands_off(stage, TEXT)
        await stage.does(HandOffFinished(answer_of(TEXT)))
        assert stage.replica.admission.generations == 0


# --- the books


@pytest.mark.parametrize("told_cached", [None, 0, 20, 10_000])
async def test_the_books_are_closed_by_what_is_reported_as_far_as_it_can_be_true(told_cached: int | None) -> None:
    async with handing_off() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        told = await hands_off(stage)
        await stage.does(HandOffFinished(answer_of(TEXT), ReportedUsage(None, told_cached, 7)))
        finished = stage.finished(told.seq)
        believed = told.cached_tokens if told_cached is None else min(told_cached, told.prompt_tokens)
        assert (finished.reason, finished.prompt_tokens) == (HANDED_OFF, told.prompt_tokens)
        assert (finished.cached_tokens, finished.completion_tokens) == (believed, 7)
        ledger = finished.ledger
        assert ledger.used == min(believed, ledger.computed)
        assert ledger.used + ledger.evicted == ledger.computed > 20
        samples = stage.samples()
        assert samples["forefill_hand_offs_total"] == 1
        assert samples.get("forefill_warm_tokens_total used", 0) == ledger.used


async def test_a_request_with_another_prompt_is_believed_within_its_own_length() -> None:
    async with handing_off() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        told = await hands_off(stage)
        await stage.does(HandOffFinished(answer_of(TEXT), ReportedUsage(24, 500, 7)))
        finished = stage.finished(told.seq)
        assert (finished.prompt_tokens, finished.cached_tokens) == (24, 24)
        assert finished.ledger.used <= 24


@pytest.mark.parametrize("reported", [None, "the same", "another"])
async def test_what_the_application_had_computed_is_believed_cached_if_it_was_this_prompt(reported: str | None) -> None:
    async with handing_off(Open((SYSTEM,), warm_mode=WarmMode.OFF)) as stage:
        told = await hands_off(stage, TEXT)
        assert told.cached_tokens == 0
        tokens = {None: None, "the same": told.prompt_tokens, "another": told.prompt_tokens + 1}[reported]
        await stage.does(HandOffFinished((), ReportedUsage(tokens)))
        assert (await hands_off(stage, TEXT)).cached_tokens == 0, "nothing came of it"
        await stage.does(HandOffFinished((user("so"),), ReportedUsage(tokens)))
        view = stage.replica.blocks
        known = view.leading(_names(stage), stage.clock()) * BLOCK
        assert (known > 0) is (reported != "another")


def _names(stage: Stage) -> Any:
    from forefill_service.cache.blocks import BlockNames
    from forefill_service.chat.token_ids import TokenIds

    return BlockNames(BLOCK, None).of(TokenIds((), tuple(stage.prompt_ids(user(TEXT)))))


async def test_the_next_turn_begins_with_what_the_conversation_got() -> None:
    async with handing_off() as stage:
        await hands_off(stage, TEXT)
        await stage.does(CharAdd("two"))
        await stage.does(HandOffFinished(answer_of(TEXT)))
        await stage.submits()
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(*answer_of(TEXT), user("two"))


async def test_a_cancelled_one_is_settled_by_what_is_believed_and_leaves_the_conversation() -> None:
    async with handing_off() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        told = await hands_off(stage)
        await stage.does(Cancel(keep_text=True))
        finished = stage.finished(told.seq)
        assert (finished.reason, finished.cached_tokens) == (CANCELLED, told.cached_tokens)
        assert finished.ledger.used == min(told.cached_tokens, finished.ledger.computed) > 0
        await stage.submits("two")
        assert stage.generations[-1].prompt_ids == stage.prompt_ids(user("two"))


async def test_end_settles_it_and_ends_the_session() -> None:
    async with handing_off() as stage:
        told = await hands_off(stage, TEXT)
        await stage.does(End())
        assert stage.finished(told.seq).reason == CANCELLED
        assert stage.task.done()
        assert stage.task.exception() is None


async def test_a_stream_that_is_cut_settles_it_by_what_is_believed() -> None:
    async with handing_off() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        told = await hands_off(stage)
        await stage.hangs_up()
        assert stage.refusal().reason is Reason.ABORTED
        samples = stage.samples()
        assert 0 < samples["forefill_warm_tokens_total used"] <= told.cached_tokens
        assert "forefill_warm_tokens_total abandoned" not in samples


async def test_a_server_that_stops_does_not_wait_for_the_application() -> None:
    async with handing_off() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        await hands_off(stage)
        stage.runner.stop()
        await settle()
        assert stage.refusal().reason is Reason.SERVER_STOPPING
        assert stage.samples()["forefill_warm_tokens_total used"] > 0


async def test_one_that_ends_before_it_is_told_is_not_told_and_its_books_go_on() -> None:
    async with handing_off() as stage:
        await stage.types(TEXT)
        await stage.flushes()
        stage.render_gate.held = True
        seq = await stage.does(HandOff())
        await stage.does(Cancel(keep_text=False))
        assert stage.all(HandedOff) == []
        assert (stage.finished(seq).reason, stage.finished(seq).ledger) == (CANCELLED, Balance())
        stage.render_gate.open()
        await settle()
        assert stage.all(HandedOff) == []
        assert stage.replica.admission.generations == 0
        answered = await stage.submits(TEXT)
        assert stage.finished(answered).ledger.used > 0


async def test_each_is_settled_once_and_the_sessions_tasks_end_with_it() -> None:
    async with handing_off() as stage:
        for text in ("one", "two"):
            await hands_off(stage, text)
            await stage.does(HandOffFinished(answer_of(text)))
        assert [finished.reason for finished in stage.all(GenerationFinished)] == [HANDED_OFF] * 2
        late = await stage.does(HandOffFinished(answer_of("two")))
        assert stage.error(late).reason is Reason.NOTHING_HANDED_OFF
