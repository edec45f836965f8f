"""What the fake engine answers: a function of the conversation, so an answer shows which one the server had."""

from collections.abc import Sequence

from forefill_client import ChatMessage
from forefill_service.chat.messages import ChatMessage as EngineMessage
from forefill_service.chat.messages import Conversation
from forefill_service.engine import FakeChat
from forefill_service.engine.fake.chat import answer_to


def ids_of(messages: Sequence[ChatMessage]) -> list[int]:
    """Return what the fake engine makes of a conversation."""
    chat = FakeChat()
    return chat.encode(
        chat.render(Conversation(tuple(EngineMessage(message.role, message.content) for message in messages)))
    )


def answer_of(messages: Sequence[ChatMessage], answer_tokens: int) -> str:
    """Return what the fake engine answers to a conversation that ends with a question."""
    return "".join(answer_to(ids_of(messages), answer_tokens, answer_tokens)[0])
