"""What the fake engine answers: a function of the conversation, so an answer shows which one the server had."""

from collections.abc import Iterable, Sequence

from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import FakeChat
from forefill_service.engine.fake.chat import answer_to

ENOUGH_TOKENS = 100_000


def ids_of(messages: Iterable[tuple[str, str]]) -> list[int]:
    """Return the ids of a conversation of (role, content)."""
    chat = FakeChat()
    return chat.encode(chat.render(Conversation(tuple(ChatMessage(role, content) for role, content in messages))))


def answer_of(messages: Sequence[tuple[str, str]], answer_tokens: int) -> str:
    """Return the answer to a conversation that ends with a question."""
    return "".join(answer_to(ids_of(messages), answer_tokens, ENOUGH_TOKENS)[0])
