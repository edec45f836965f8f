"""Texts that forefill sends for its own sake: to warm up, to measure, and to compare renderings of a chat."""

from ..chat.messages import ChatMessage
from ..chat.prompt import Chat

RENDERING_PROBE = ChatMessage("user", "Is it  so?\n")
"""Its two spaces and its line break are lost if a template or a tokenizer tidies up the user's text."""
NO_CHAT_TEMPLATE = "the model has no chat template; give one with --chat-template FILE"

_FILLER = "a b c d e f g h "


def filler_ids(chat: Chat, tokens: int) -> list[int]:
    """Return a prompt of this many tokens that means nothing; a shorter one is a prefix of a longer one."""
    some = chat.encode(_FILLER)
    return (some * tokens)[:tokens]
