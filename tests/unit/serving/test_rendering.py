"""Whose ids a turn sends: each verdict on the fast path, and what SUBMIT, FLUSH and a pause do then."""

from dataclasses import replace

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.serving.rendering import RULES, Asks, Rule, Verdict, Warms
from forefill_service.session.responses import FlushOutcome, GenerationStarted

from tests.support.other_chat import OtherChat
from tests.support.stage import BLOCK, SYSTEM, Gate, on_stage, settle, user
from tests.support.verdicts import (
    CONFIRMED,
    TEXT,
    Fails,
    ShoutingChat,
    common,
    engine_with,
    own,
    stage_with,
    theirs,
    whole_blocks,
)

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


async def test_who_made_a_prompt_is_told_as_it_was_though_the_comparison_ends_before_the_first_token() -> None:
    engine, gate = FakeEngine(block_size=BLOCK), Gate()
    gate.held = True
    engine.chat_endpoint.in_process, engine.chat_endpoint.wait = False, gate
    async with on_stage(engine=engine) as stage:
        stage.engine_gate.held = True
        await stage.submits(TEXT)
        gate.open()
        await settle()
        stage.engine_gate.open()
        await settle()
        [started] = stage.all(GenerationStarted)
        assert started.prompt_by_engine


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

    def render(self, conversation: Conversation) -> str:
        return self.chat.render(
            replace(conversation, messages=(ChatMessage("system", self.day), *conversation.messages))
        )


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
        asked = FakeChat().encode(
            OtherChat().render(Conversation((ChatMessage("system", "tuesday"), SYSTEM, user(stage.draft))))
        )
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
        drafts = [FakeChat().encode(ShoutingChat().render(Conversation((SYSTEM, user(text))))) for text in ("a", "7")]
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
