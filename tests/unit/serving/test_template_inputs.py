"""Sessions with all that a chat template takes: it is warmed, SUBMIT asks for it, and the next turn has it."""

from dataclasses import replace

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation, ToolCall
from forefill_service.engine import EngineInfo, FakeEngine
from forefill_service.errors import Reason
from forefill_service.session.events import Open, Rewrite

from tests.support.other_chat import OtherChat
from tests.support.stage import BLOCK, SYSTEM, Stage, on_stage, settle, user

TEXT = "Show me all the patients that were seen in May "
CALL = ToolCall("1", "beds", '{"ward": "B"}')
OPENING = Open(
    (SYSTEM, ChatMessage("assistant", "", tool_calls=(CALL,), reasoning="Hm."), ChatMessage("tool", "3", "beds")),
    tools=({"type": "function", "function": {"name": "beds"}},),
    documents=({"text": "Ward B has three beds"},),
    reasoning_effort="low",
)


def ids(stage: Stage, *messages: ChatMessage) -> list[int]:
    """Return the ids of the session's conversation with these messages at its end, as the endpoint makes them."""
    chat = stage.engine.chat_endpoint.chat
    return chat.encode(chat.render(stage.opening.conversation((*stage.opening.messages, *messages))))


@pytest.mark.parametrize("agrees", [True, False])
async def test_the_base_prompt_is_warmed_with_all_of_it_and_submit_asks_for_all_of_it(agrees: bool) -> None:
    engine = FakeEngine(block_size=BLOCK)
    if not agrees:
        engine.chat_endpoint.chat = OtherChat()
    async with on_stage(OPENING, engine=engine) as stage:
        whole = ids(stage, user(TEXT))
        base = stage.warms[-1].prompt_ids
        assert base == whole[: len(base)]
        before_the_draft = len(ids(stage)) - len(stage.engine.chat.encode("<|start|>assistant\n"))
        assert before_the_draft - len(base) < BLOCK
        await stage.types(TEXT)
        await stage.flushes()
        flushed = stage.warms[-1].prompt_ids
        assert flushed == whole[: len(flushed)]
        assert len(flushed) > before_the_draft
        seq = await stage.submits(TEXT)
        assert stage.generations[0].prompt_ids == whole
        assert stage.finished(seq).cached_tokens >= len(flushed)


@pytest.mark.parametrize("agrees", [True, False])
async def test_a_draft_that_the_answer_continues_is_warmed_and_goes_on_as_one_message(agrees: bool) -> None:
    engine = FakeEngine(block_size=BLOCK, answer_tokens=20)
    if not agrees:
        engine.chat_endpoint.chat = OtherChat()
    opening = replace(OPENING, continue_final_message=True)
    async with on_stage(opening, engine=engine) as stage:
        begun = ChatMessage("assistant", TEXT)
        await stage.types(TEXT)
        await stage.flushes()
        whole = ids(stage, begun)
        warmed = stage.warms[-1].prompt_ids
        assert warmed == whole[: len(warmed)]
        assert len(whole) - len(warmed) < 2 * BLOCK
        first = await stage.submits(TEXT)
        assert stage.generations[0].prompt_ids == whole
        said = ChatMessage("assistant", TEXT + stage.answer_text(first))
        await stage.submits("So ")
        assert stage.generations[1].prompt_ids == ids(stage, said, ChatMessage("assistant", "So "))
        keep = len(opening.messages) + 1
        await stage.does(Rewrite(keep, (user("Why?"),)))
        await stage.submits("Because ")
        assert stage.generations[2].prompt_ids == ids(stage, said, user("Why?"), ChatMessage("assistant", "Because "))


async def test_an_engine_that_cannot_continue_a_message_is_not_asked_to() -> None:
    engine = FakeEngine(block_size=BLOCK)
    engine.info = replace(engine.info, continues_messages=False)
    async with on_stage(Open((SYSTEM,), continue_final_message=True), engine=engine) as stage:
        await settle()
        refusal = stage.refusal()
    assert refusal.reason is Reason.INVALID_OPEN
    assert "continue_final_message" in str(refusal)
    assert engine.requests == []


def test_engines_can_continue_a_message_unless_they_say_otherwise() -> None:
    assert EngineInfo("m", 16, 4096).continues_messages


async def test_sessions_with_other_tools_have_no_way_in_common() -> None:
    """With `--affinity prompt` what decides is the prompt, and tools come first in it."""
    keys = set()
    for opening in (
        OPENING,
        replace(OPENING, tools=()),
        replace(OPENING, documents=()),
        Open(OPENING.messages),
        OPENING,
    ):
        async with on_stage(opening, affinity="prompt", engine=FakeEngine(block_size=BLOCK)) as stage:
            keys.add(stage.warms[0].route)
    assert len(keys) == 4


def test_a_conversation_grows_by_what_was_submitted_and_its_answer() -> None:
    plain = Conversation((SYSTEM,))
    assert plain.answered("a", "b").messages == (SYSTEM, user("a"), ChatMessage("assistant", "b"))
    continuing = replace(plain, continue_final_message=True)
    assert continuing.answered("a", "b").messages == (SYSTEM, ChatMessage("assistant", "ab"))
