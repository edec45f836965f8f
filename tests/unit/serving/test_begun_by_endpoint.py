"""Answers that only the chat endpoint of a server gives as it would, begun before SUBMIT: by the request of SUBMIT."""

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.engine import EngineLoad, FakeEngine, FakeSplitter, Priority
from forefill_service.engine.rendezvous import ranked
from forefill_service.session.events import Open, PregenerationMode
from forefill_service.session.pregeneration import UNSEEN_TOKENS
from forefill_service.session.responses import GenerationDelta, GenerationStarted, SessionError, Source

from tests.support.other_chat import OtherChat
from tests.support.pausing import ANSWER_TOKENS, TEXT, begins, pausing
from tests.support.stage import BLOCK, LOWEST_PRICE, SYSTEM, DecidedTypist, Stage, on_stage, settle, user

TOOL = {"type": "function", "function": {"name": "beds", "parameters": {"type": "object", "properties": {}}}}
CALLS = Open((SYSTEM,), tools=(TOOL,), tool_choice="required")


def server(name: str = "fake") -> FakeEngine:
    """Return an engine whose chat endpoint is elsewhere and takes the first two tokens of an answer for a thought."""
    engine = FakeEngine(block_size=BLOCK, name=name)
    engine.chat_endpoint.in_process = False
    engine.chat_endpoint.new_splitter = lambda: FakeSplitter(2)
    return engine


def told(stage: Stage) -> tuple[str, str]:
    """Return what the client was told of answers: thoughts and text."""
    deltas = stage.all(GenerationDelta)
    return "".join(delta.reasoning for delta in deltas), "".join(delta.text for delta in deltas)


async def plain() -> tuple[str, str]:
    async with on_stage(engine=server()) as stage:
        await stage.submits(TEXT)
        return told(stage)


def sources(stage: Stage) -> list[Source]:
    return [started.source for started in stage.all(GenerationStarted)]


def priorities(stage: Stage) -> list[Priority]:
    return [request.priority for request in stage.engine.chat_endpoint.requests]


async def test_it_is_begun_by_the_request_that_submit_would_send() -> None:
    async with pausing(engine=server()) as stage, on_stage(engine=server()) as other:
        await stage.types(TEXT)
        await stage.pauses()
        await other.submits(TEXT)
        [begun], [submitted] = stage.engine.chat_endpoint.requests, other.engine.chat_endpoint.requests
        assert begun.conversation == submitted.conversation
        assert begun.sampling == submitted.sampling
        assert (begun.priority, submitted.priority) == (Priority.PREGENERATION, Priority.GENERATION)


@pytest.mark.parametrize("tokens", [0, 1, 3, ANSWER_TOKENS])
async def test_submit_adopts_it_with_its_parts_apart(tokens: int) -> None:
    async with pausing(engine=server()) as stage:
        await begins(stage, tokens=tokens)
        seq = await stage.submits()
        stage.engine_gate.open()
        await settle()
        assert sources(stage) == [Source.PREGENERATED]
        assert told(stage) == await plain()
        assert len(stage.engine.chat_endpoint.requests) == 1
        finished = stage.finished(seq)
        assert (finished.completion_tokens, finished.reason) == (ANSWER_TOKENS, "stop")
        assert finished.ledger.discarded == 0


async def test_the_next_turn_stands_on_what_was_adopted() -> None:
    async with pausing(engine=server()) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        await stage.submits()
        await stage.types("and then")
        await stage.pauses()
        await stage.submits()
        first, second = stage.engine.chat_endpoint.requests
        assert second.conversation.messages[:-2] == first.conversation.messages
        assert sources(stage) == [Source.PREGENERATED, Source.PREGENERATED]


async def test_an_edit_aborts_it_and_submit_is_answered_as_always() -> None:
    async with pausing(engine=server()) as stage:
        await begins(stage, tokens=3)
        await stage.types(" now")
        assert stage.engine.aborted == 1
        stage.engine_gate.open()
        seq = await stage.submits()
        assert sources(stage) == [Source.WARM]
        _, asked = stage.engine.chat_endpoint.requests
        assert asked.conversation.messages == (SYSTEM, user(TEXT + " now"))
        assert stage.finished(seq).ledger.discarded == 3 + UNSEEN_TOKENS


async def test_it_is_given_up_at_the_cap_since_no_second_request_can_go_on() -> None:
    async with pausing(engine=server(), pregeneration_tokens=3) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.engine.aborted == 1
        await stage.submits()
        assert sources(stage) == [Source.WARM]
        assert told(stage) == await plain()


async def test_it_is_begun_only_if_much_of_it_is_worth_it() -> None:
    for tokens, begun in ((7, 0), (9, 1)):
        odds = tokens * LOWEST_PRICE
        async with pausing(engine=server(), typist=DecidedTypist(p=odds / (1 + odds))) as stage:
            await stage.types(TEXT)
            await stage.pauses()
            assert len(stage.engine.chat_endpoint.requests) == begun


async def test_an_answer_that_is_cut_off_at_its_length_is_whole() -> None:
    async with pausing(Open((SYSTEM,), sampling=Sampling(max_tokens=4)), engine=server()) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        seq = await stage.submits()
        assert sources(stage) == [Source.PREGENERATED]
        assert (stage.finished(seq).completion_tokens, stage.finished(seq).reason) == (4, "length")


async def test_where_it_had_to_make_way_the_endpoint_is_asked_once_more() -> None:
    async with pausing(engine=server()) as stage:
        await begins(stage, tokens=3)
        stage.engine.load = EngineLoad(waiting=1000)
        stage.replica.admission.dispatch()
        await settle()
        stage.engine_gate.open()
        await stage.submits()
        assert sources(stage) == [Source.WARM]
        assert told(stage) == await plain()
        assert priorities(stage) == [Priority.PREGENERATION, Priority.GENERATION]


async def test_where_it_is_refused_the_endpoint_is_asked_once_more() -> None:
    async with pausing(engine=server()) as stage:
        stage.engine.faults.refuse = {Priority.PREGENERATION: 1}
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.all(SessionError) == []
        await stage.submits()
        assert told(stage) == await plain()
        assert priorities(stage) == [Priority.PREGENERATION, Priority.GENERATION]


async def test_where_its_server_is_lost_another_ones_endpoint_is_asked() -> None:
    home, other = map(server, ranked("/anna", ["one", "two"]))
    async with pausing(Open((SYSTEM,), session_key="anna"), engine=home, others=[other]) as stage:
        await begins(stage, tokens=3)
        assert priorities(stage) == [Priority.PREGENERATION]
        home.faults.down = True
        await stage.submits()
        stage.engine_gate.open()
        await settle()
        assert [request.priority for request in other.chat_endpoint.requests] == [Priority.GENERATION]
        assert sources(stage) == [Source.COLD]
        assert told(stage) == await plain()


async def test_what_was_begun_without_the_endpoint_is_not_adopted_once_it_takes_answers_apart() -> None:
    engine = server()
    engine.chat_endpoint.new_splitter = None
    async with pausing(engine=engine) as stage:
        await begins(stage, tokens=3)
        assert engine.chat_endpoint.requests == []
        engine.chat_endpoint.new_splitter = lambda: FakeSplitter(2)  # it has started again with a parser
        stage.engine_gate.open()
        await settle()
        await stage.submits()
        assert sources(stage) == [Source.WARM]
        assert told(stage) == await plain()


async def test_a_call_that_has_to_be_is_begun_too() -> None:
    engine = server()
    engine.chat_endpoint.new_splitter = None
    async with pausing(CALLS, engine=engine) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        seq = await stage.submits()
        assert sources(stage) == [Source.PREGENERATED]
        assert stage.finished(seq).reason == "tool_calls"
        [call] = [part for delta in stage.all(GenerationDelta) for part in delta.tool_calls if part.name]
        assert call.name == "beds"
        assert len(stage.engine.chat_endpoint.requests) == 1


@pytest.mark.parametrize("knob", ["silent", "other ids"])
async def test_nothing_is_begun_where_the_ids_of_its_prompt_are_not_known(knob: str) -> None:
    engine = server()
    if knob == "silent":
        engine.chat_endpoint.silent = True
    else:
        engine.chat_endpoint.chat = OtherChat()
    opening = Open((SYSTEM,), pregeneration_mode=PregenerationMode.ON)
    async with pausing(opening, engine=engine) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        assert stage.engine.chat_endpoint.requests == []
