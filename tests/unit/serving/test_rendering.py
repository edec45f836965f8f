"""Whose ids a turn sends: each verdict on the fast path, and what SUBMIT, FLUSH and a pause do then."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from forefill_service.cache.blocks import CacheChange
from forefill_service.chat.messages import ChatMessage
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.errors import EngineSlow, Reason, Refusal
from forefill_service.serving.rendering import RULES, Asks, Rule, Verdict, Warms
from forefill_service.session.responses import FlushOutcome, GenerationStarted, Opened, Source

from tests.support.other_chat import OtherChat
from tests.support.stage import BLOCK, SYSTEM, Stage, assistant, on_stage, settle, user

TEXT = "how many cars are there in all of the towns"
CONFIRMED = "how many cars are there in all of the "


class ShoutingChat(OtherChat):
    """Does more with the user's text than to quote it."""

    def render(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        *before, last = messages
        return super().render([*before, ChatMessage(last.role, last.content.upper())], kwargs)


class RefusingChat(FakeChat):
    """A template that refuses every conversation."""

    def render(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        raise Refusal(Reason.TEMPLATE_REFUSED, "roles must alternate")


class WaryChat(FakeChat):
    """A template that refuses the text of a special token in what the user says."""

    def render(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        if any("<|" in message.content for message in messages):
            raise Refusal(Reason.TEMPLATE_REFUSED, "no special tokens, please")
        return super().render(messages, kwargs)


class NeverBack:
    """Keeps the first two renderings, those of the comparison, for ever."""

    def __init__(self) -> None:
        self.left = 2

    async def __call__(self) -> None:
        self.left -= 1
        if self.left >= 0:
            await asyncio.get_running_loop().create_future()


def engine_with(verdict: Verdict, *, in_process: bool) -> FakeEngine:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.in_process = in_process
    if verdict is not Verdict.AGREES:
        engine.chat_endpoint.chat = OtherChat()
    return engine


def stage_with(verdict: Verdict, *, in_process: bool, **settings: Any) -> AbstractAsyncContextManager[Stage]:
    """Return a stage on whose engine the comparison ends so; UNKNOWN: it fails, and later questions do not."""
    engine = engine_with(verdict, in_process=in_process)
    if verdict is Verdict.CHECKING:
        engine.chat_endpoint.wait = NeverBack()
    if verdict is Verdict.UNKNOWN:
        engine.chat_endpoint.wait = Fails(EngineSlow("it does not answer"), times=2)
    return on_stage(engine=engine, **settings)


class Fails:
    """Fails the first questions."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error, self.times = error, times

    async def __call__(self) -> None:
        self.times -= 1
        if self.times >= 0:
            raise self.error


def theirs(text: str) -> list[int]:
    return FakeChat().encode(OtherChat().render([SYSTEM, user(text)], {}))


def own(text: str) -> list[int]:
    return FakeChat().encode(FakeChat().render([SYSTEM, user(text)], {}))


def common(*prompts: list[int]) -> list[int]:
    length = next((i for i, ids in enumerate(zip(*prompts, strict=False)) if len(set(ids)) > 1), len(prompts[0]))
    return prompts[0][:length]


def whole_blocks(ids: list[int]) -> list[int]:
    return ids[: len(ids) // BLOCK * BLOCK]


ALL = [(verdict, in_process) for verdict in Verdict for in_process in (True, False)]


def test_there_is_a_rule_for_every_verdict_and_place() -> None:
    assert set(RULES) == set(ALL)


def test_only_what_agrees_is_sent_as_the_fast_path_made_it() -> None:
    fast = [verdict for (verdict, _), rule in RULES.items() if rule.asks is Asks.FAST_PATH]
    assert set(fast) == {Verdict.AGREES}
    assert not Rule(Asks.ENDPOINT, Warms.BASE).exact


@pytest.mark.parametrize(("verdict", "in_process"), ALL)
async def test_submit_gets_the_endpoints_ids_whatever_the_verdict(verdict: Verdict, in_process: bool) -> None:
    async with stage_with(verdict, in_process=in_process) as stage:
        await stage.types(TEXT)
        submit = await stage.submits()
        expected = own(TEXT) if verdict is Verdict.AGREES else theirs(TEXT)
        assert [request.prompt_ids for request in stage.generations] == [expected]
        asked_itself = [request.conversation.messages for request in stage.engine.chat_endpoint.requests]
        by_endpoint = RULES[verdict, in_process].asks is Asks.ENDPOINT
        assert asked_itself == ([(SYSTEM, user(TEXT))] if by_endpoint else [])
        finished = stage.finished(submit)
        assert (finished.reason, finished.prompt_tokens) == ("stop", len(expected))
        [started] = stage.all(GenerationStarted)
        assert started.prompt_by_engine is (verdict is not Verdict.AGREES)


@pytest.mark.parametrize("in_process", [True, False])
async def test_where_the_fast_path_agrees_the_endpoint_is_asked_twice_a_turn_and_no_more(in_process: bool) -> None:
    async with stage_with(Verdict.AGREES, in_process=in_process) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        await stage.submits()
        assert len(stage.engine.chat_endpoint.asked) == 4, "two for each of two turns"


EXPECTED_WARM: dict[tuple[Verdict, bool], str] = {
    (Verdict.AGREES, True): "stable",
    (Verdict.AGREES, False): "stable",
    (Verdict.CHECKING, True): "stable",
    (Verdict.CHECKING, False): "stable",
    (Verdict.DIFFERS, True): "their stable",
    (Verdict.DIFFERS, False): "their stable",
    (Verdict.UNKNOWN, True): "base",
    (Verdict.UNKNOWN, False): "base",
}


@pytest.mark.parametrize(("verdict", "in_process"), ALL)
async def test_flush_warms_what_the_verdict_leaves_certain(verdict: Verdict, in_process: bool) -> None:
    async with stage_with(verdict, in_process=in_process) as stage:
        await stage.types(TEXT)
        flush = await stage.flushes(len(CONFIRMED))
        if verdict is Verdict.CHECKING:
            assert stage.warms == [], "it waits for the verdict"
            for _ in range(3):  # for the turn's base, for the FLUSH, and for a pause
                stage.time_gate.step()
                await settle()
        ours = [own(CONFIRMED + rest) for rest in ("a", "7")]
        expected = {
            "stable": common(*ours),
            "base": common(own("a"), own("7")),
            "their stable": common(theirs(CONFIRMED + "a"), theirs(CONFIRMED + "7")),
            "their base": common(theirs("a"), theirs("7")),
        }[EXPECTED_WARM[verdict, in_process]]
        assert stage.warms[-1].prompt_ids == whole_blocks(expected)
        outcome = FlushOutcome.NOTHING_NEW if EXPECTED_WARM[verdict, in_process].endswith("base") else None
        assert outcome in (None, stage.flush_result(flush).outcome)


async def test_where_both_make_the_same_ids_of_a_draft_a_flush_asks_the_endpoint_for_nothing() -> None:
    async with stage_with(Verdict.DIFFERS, in_process=True) as stage:
        asked = len(stage.engine.chat_endpoint.asked)
        await stage.types(TEXT)
        await stage.flushes(len(CONFIRMED))
        assert len(stage.engine.chat_endpoint.asked) == asked
        await stage.types(" that are there")
        await stage.flushes(len(TEXT) + 1)
        whole = theirs(TEXT + " that are there")
        assert stage.warms[-1].prompt_ids == whole[: len(stage.warms[-1].prompt_ids)]


async def test_a_long_draft_follows_the_endpoints_base_whole() -> None:
    async with stage_with(Verdict.DIFFERS, in_process=True) as stage:
        long = "how many cars are there " * 100
        await stage.types(long)
        await stage.flushes()
        await stage.types("in town and ")
        flush = stage.flush_result(await stage.flushes())
        whole = theirs(long + "in town and ")
        assert stage.warms[-1].prompt_ids == whole[: len(stage.warms[-1].prompt_ids)]
        assert flush.stable_tokens > len(theirs(long)) - 2 * BLOCK


class Dated(FakeChat):
    """Renders as another chat does, with the day before all."""

    def __init__(self, chat: FakeChat) -> None:
        self.chat, self.day = chat, "monday"

    def render(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        return self.chat.render([ChatMessage("system", self.day), *messages], kwargs)


async def test_after_midnight_the_two_are_compared_once_more() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat, engine.chat_endpoint.chat = dated = Dated(FakeChat()), Dated(OtherChat())
    async with on_stage(engine=engine) as stage:
        await stage.types(TEXT)
        await stage.flushes()
        for chat in dated:
            chat.day = "tuesday"
        for more in (" and now", " and then", " and so on"):
            await stage.types(more)
            await stage.flushes(len(stage.draft) - 3)
        asked = FakeChat().encode(OtherChat().render([ChatMessage("system", "tuesday"), SYSTEM, user(stage.draft)], {}))
        assert stage.warms[-1].prompt_ids == asked[: len(stage.warms[-1].prompt_ids)]
        assert len(engine.chat_endpoint.asked) == 4, "two on either day"
        assert stage.finished(await stage.submits()).cached_tokens >= len(asked) - 4 * BLOCK


async def test_where_the_endpoint_changes_the_draft_a_flush_warms_what_its_own_renderings_have_in_common() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.chat = ShoutingChat()
    async with on_stage(engine=engine) as stage:
        asked = len(engine.chat_endpoint.asked)
        await stage.types(TEXT)
        await stage.flushes(len(CONFIRMED))
        assert len(engine.chat_endpoint.asked) > asked
        loud = theirs(CONFIRMED.upper() + "A"), theirs(CONFIRMED.upper() + "7")
        assert stage.warms[-1].prompt_ids == whole_blocks(common(*loud))


async def test_where_an_endpoint_elsewhere_changes_the_draft_only_its_base_is_warmed() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.in_process, engine.chat_endpoint.chat = False, ShoutingChat()
    async with on_stage(engine=engine) as stage:
        await stage.types(TEXT)
        flush = await stage.flushes(len(CONFIRMED))
        drafts = [FakeChat().encode(ShoutingChat().render([SYSTEM, user(text)], {})) for text in ("a", "7")]
        assert stage.warms[-1].prompt_ids == whole_blocks(common(*drafts))
        assert stage.flush_result(flush).outcome is FlushOutcome.NOTHING_NEW


@pytest.mark.parametrize(("verdict", "in_process"), ALL)
async def test_an_answer_is_begun_before_submit_only_on_exact_ids(verdict: Verdict, in_process: bool) -> None:
    async with stage_with(verdict, in_process=in_process, pregeneration=True) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        for _ in range(3):  # whatever waits for the verdict
            stage.time_gate.step()
            await settle()
        begun = [request.prompt_ids for request in stage.pregenerations]
        if RULES[verdict, in_process].exact:
            expected = own(TEXT) if verdict is Verdict.AGREES else theirs(TEXT)
            assert begun == [expected]
            assert stage.finished(await stage.submits()).ledger.adopted > 0
        else:
            assert begun == []


async def test_submit_waits_neither_for_the_verdict_nor_for_the_fast_path() -> None:
    async with stage_with(Verdict.DIFFERS, in_process=False) as stage:
        stage.render_gate.held = True
        first = await stage.submits(TEXT)
        assert stage.finished(first).reason == "stop"
        second = await stage.submits("and now")
        assert len(stage.render_gate.waiting) == 2, "nothing of this turn or the next is rendered yet"
        assert stage.finished(second).reason == "stop"
        assert len(stage.engine.chat_endpoint.requests) == 2


async def test_a_comparison_that_fails_otherwise_leaves_it_to_the_endpoint() -> None:
    engine = engine_with(Verdict.DIFFERS, in_process=True)
    engine.chat_endpoint.wait = Fails(ValueError("a defect"), times=2)
    async with on_stage(engine=engine) as stage:
        submit = await stage.submits(TEXT)
        assert stage.generations[0].prompt_ids == theirs(TEXT)
        assert stage.finished(submit).reason == "stop"


# --- what the two say of a conversation differs


async def test_the_endpoints_refusal_counts() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.refuses = "no system role"
    async with on_stage(engine=engine) as stage:
        await stage.types(TEXT)
        assert stage.flush_result(await stage.flushes()).outcome is FlushOutcome.SHED
        error = stage.error(await stage.submits())
        assert error.reason is Reason.TEMPLATE_REFUSED
        assert "no system role" in error.message
        assert stage.generations == []


async def test_an_endpoint_elsewhere_that_refuses_refuses_the_answer() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.refuses, engine.chat_endpoint.in_process = "no system role", False
    async with on_stage(engine=engine) as stage:
        error = stage.error(await stage.submits(TEXT))
        assert error.reason is Reason.TEMPLATE_REFUSED
        engine.chat_endpoint.refuses = ""
        assert stage.finished(await stage.submits(TEXT)).reason == "stop"


@pytest.mark.parametrize("in_process", [True, False])
async def test_what_the_fast_path_alone_refuses_is_answered(in_process: bool) -> None:
    engine = engine_with(Verdict.DIFFERS, in_process=in_process)
    engine.chat = RefusingChat()
    async with on_stage(engine=engine) as stage:
        [opened] = stage.all(Opened)
        assert opened.base_prompt_tokens == len(common(theirs("a"), theirs("7")))
        await stage.types(TEXT)
        submit = await stage.submits()
        assert stage.generations[0].prompt_ids == theirs(TEXT)
        assert stage.finished(submit).reason == "stop"


async def test_a_template_that_refuses_special_tokens_in_a_draft_is_compared_on_others() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat = engine.chat_endpoint.chat = WaryChat()
    async with on_stage(engine=engine) as stage:
        await stage.types(TEXT)
        await stage.flushes(len(CONFIRMED))
        assert stage.warms[-1].prompt_ids == whole_blocks(common(own(CONFIRMED + "a"), own(CONFIRMED + "7")))
        await stage.submits(TEXT)
        [started] = stage.all(GenerationStarted)
        assert not started.prompt_by_engine
        assert stage.error(await stage.submits("<|end|>")).reason is Reason.TEMPLATE_REFUSED


async def test_what_both_refuse_ends_the_session_in_the_words_of_the_template() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat, engine.chat_endpoint.chat = RefusingChat(), RefusingChat()
    async with on_stage(engine=engine) as stage:
        assert stage.refusal().reason is Reason.TEMPLATE_REFUSED
        assert "roles must alternate" in str(stage.refusal())


async def test_an_endpoint_that_cannot_be_asked_at_submit_fails_that_answer_alone() -> None:
    engine = engine_with(Verdict.DIFFERS, in_process=True)
    async with on_stage(engine=engine) as stage:
        engine.chat_endpoint.fails = EngineSlow("the template takes too long")
        error = stage.error(await stage.submits(TEXT))
        assert (error.reason, stage.generations) == (Reason.GENERATION_FAILED, [])
        engine.chat_endpoint.fails = None
        assert stage.finished(await stage.submits(TEXT)).reason == "stop"


async def test_a_prompt_of_the_endpoint_that_leaves_no_room_is_refused() -> None:
    engine = FakeEngine(block_size=BLOCK, context_tokens=40)
    engine.chat_endpoint.chat = OtherChat()
    async with on_stage(engine=engine) as stage:
        assert stage.error(await stage.submits("many " * 40)).reason is Reason.PROMPT_TOO_LONG


# --- the books of an answer whose prompt the endpoint makes


async def test_the_prompt_is_known_with_the_first_token_and_its_warmed_base_counts_as_used() -> None:
    async with stage_with(Verdict.DIFFERS, in_process=False) as stage:
        base = whole_blocks(common(theirs("a"), theirs("7")))
        assert stage.warms[-1].prompt_ids == base
        submit = await stage.submits(TEXT)
        [started] = stage.all(GenerationStarted)
        assert (started.prompt_tokens, started.cached_tokens) == (len(theirs(TEXT)), len(base))
        assert started.source is Source.WARM
        assert stage.finished(submit).ledger.used == len(base)
        answer = assistant(stage.answer_text(submit))
        turn = FakeChat().encode(OtherChat().render([SYSTEM, user(TEXT), answer, user("x")], {}))
        assert stage.warms[-1].prompt_ids == turn[: len(stage.warms[-1].prompt_ids)]
        assert len(stage.warms[-1].prompt_ids) > len(theirs(TEXT)) - 4 * BLOCK


async def test_a_prompt_that_stays_unknown_has_no_length_and_only_the_engines_count_of_hits() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.chat_endpoint.in_process, engine.chat_endpoint.silent = False, True
    async with on_stage(engine=engine) as stage:
        base = stage.warms[-1].prompt_ids
        submit = await stage.submits(TEXT)
        [started] = stage.all(GenerationStarted)
        assert (started.prompt_tokens, started.cached_tokens) == (0, len(base))
        finished = stage.finished(submit)
        assert (finished.prompt_tokens, finished.ledger.used, finished.ledger.computed) == (0, len(base), len(base))


async def test_a_warm_of_the_base_goes_on_beside_the_endpoints_answer() -> None:
    async with stage_with(Verdict.DIFFERS, in_process=False) as stage:
        stage.engine.evict()
        stage.replica.blocks.change(CacheChange(cleared=True))
        stage.engine_gate.held = True
        await stage.types("x ")
        await stage.flushes()
        assert len(stage.engine_gate.waiting) == 1, "the warm is in the engine"
        submit = await stage.submits(TEXT)
        stage.engine_gate.open()
        await settle()
        assert (stage.engine.aborted, stage.finished(submit).reason) == (0, "stop")


async def test_a_silent_endpoint_in_this_process_answers_itself() -> None:
    engine = engine_with(Verdict.UNKNOWN, in_process=True)
    engine.chat_endpoint.silent = True
    async with on_stage(engine=engine) as stage:
        submit = await stage.submits(TEXT)
        assert stage.finished(submit).prompt_tokens == 0
        assert len(engine.chat_endpoint.requests) == 1


async def test_an_endpoints_answer_is_asked_for_once_more_elsewhere() -> None:
    engines = [FakeEngine(block_size=BLOCK, name=name) for name in ("one", "two")]
    for engine in engines:
        engine.chat_endpoint.chat, engine.chat_endpoint.in_process = OtherChat(), False
    async with on_stage(engine=engines[0], others=engines[1:]) as stage:
        first = next(engine for engine in engines if engine.chat_endpoint.asked)
        [other] = [engine for engine in engines if engine is not first]
        first.faults.busy = 1
        submit = await stage.submits(TEXT)
        assert stage.finished(submit).reason == "stop"
        assert len(other.chat_endpoint.requests) == 1


# --- what the operator sees


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.CHECKING])
async def test_each_turn_is_counted_by_its_verdict_and_each_verdict_is_said_once(
    verdict: Verdict, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="forefill_service")
    engine = engine_with(verdict, in_process=True)
    if verdict is Verdict.UNKNOWN:
        engine.chat_endpoint.silent = True
    async with on_stage(engine=engine) as stage:
        await stage.submits(TEXT)
        assert stage.samples()[f"forefill_turns_total {verdict.name.lower()}"] == 2
    said = [record.getMessage() for record in caplog.records if "fast path" in record.getMessage()]
    assert len(said) == (0 if verdict is Verdict.AGREES else 1)
    assert not any("cars" in message or "eleven" in message for message in said)
