"""The fake engine's chat endpoint agrees with its chat until a knob says otherwise."""

import pytest
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import ChatRequest, FakeChat, FakeEngine, Priority, Request
from forefill_service.errors import EngineUnavailable, Reason, Refusal

CONVERSATION = Conversation((ChatMessage("system", "Be brief."), ChatMessage("user", "So?")))
ASKED = ChatRequest(CONVERSATION, Sampling(), Priority.GENERATION, "salt", "route")


class Louder(FakeChat):
    def render(self, conversation: Conversation) -> str:
        return super().render(conversation).upper()


def own_ids(engine: FakeEngine) -> list[int]:
    return engine.chat.encode(engine.chat.render(CONVERSATION))


async def test_its_ids_are_those_of_the_engines_chat() -> None:
    engine = FakeEngine()
    assert await engine.chat_endpoint.ids(CONVERSATION) == own_ids(engine)
    assert engine.chat_endpoint.asked == [CONVERSATION]


async def test_it_answers_as_the_engine_answers_its_ids_and_says_them_once() -> None:
    engine = FakeEngine()
    outputs = [output async for output in engine.chat_endpoint.generate(ASKED)]
    expected = Request(own_ids(engine), Sampling(), Priority.GENERATION, "salt", "route")
    assert (engine.requests, engine.chat_endpoint.requests) == ([expected], [ASKED])
    assert [output.prompt_ids for output in outputs] == [tuple(own_ids(engine)), *[None] * (len(outputs) - 1)]
    plain = [output async for output in FakeEngine().generate(expected)]
    assert [output.text for output in outputs] == [output.text for output in plain]


async def test_its_ids_may_differ_be_unknown_be_refused_or_fail() -> None:
    engine = FakeEngine()
    endpoint = engine.chat_endpoint
    endpoint.chat = Louder()
    different = await endpoint.ids(CONVERSATION)
    assert different is not None
    assert different != own_ids(engine)
    endpoint.silent = True
    assert await endpoint.ids(CONVERSATION) is None
    assert {output.prompt_ids async for output in endpoint.generate(ASKED)} == {None}
    endpoint.silent, endpoint.refuses = False, "no system role"
    with pytest.raises(Refusal, match="no system role") as refused:
        await endpoint.ids(CONVERSATION)
    assert refused.value.reason is Reason.TEMPLATE_REFUSED
    with pytest.raises(Refusal, match="no system role"):
        await anext(endpoint.generate(ASKED))
    endpoint.fails = EngineUnavailable("it is away")
    with pytest.raises(EngineUnavailable):
        await endpoint.ids(CONVERSATION)


async def test_what_it_was_asked_is_kept_unless_told_otherwise() -> None:
    engine = FakeEngine(keep_requests=False)
    await engine.chat_endpoint.ids(CONVERSATION)
    async for _ in engine.chat_endpoint.generate(ASKED):
        pass
    assert (engine.chat_endpoint.asked, engine.chat_endpoint.requests) == ([], [])
