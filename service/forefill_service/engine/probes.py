"""Texts that forefill sends for its own sake: to warm up, to measure, and to compare renderings of a chat."""

from collections.abc import Mapping
from typing import Any

from ..chat.messages import ChatMessage, Conversation, ToolCall
from ..chat.prompt import Chat

RENDERING_PROBE = ChatMessage("user", "Is it  so?\n")
"""Its two spaces and its line break are lost if a template or a tokenizer tidies up the user's text."""
_MESSAGES: Mapping[str, tuple[ChatMessage, ...]] = {
    "a question": (RENDERING_PROBE,),
    "turns": (ChatMessage("user", " a"), ChatMessage("assistant", "b. "), ChatMessage("user", "c\u00e9 \u6f22 ")),
    "a system message": (ChatMessage("system", "You are terse."), ChatMessage("user", "Why?")),
    "two system messages": (
        ChatMessage("system", "You are terse."),
        ChatMessage("system", "And kind."),
        ChatMessage("user", "Why?"),
    ),
    "a late system message": (
        ChatMessage("user", "Why?"),
        ChatMessage("assistant", "Why not?"),
        ChatMessage("system", "Now be kind."),
        ChatMessage("user", "So?"),
    ),
    "a developer message": (ChatMessage("developer", "Answer in SQL."), ChatMessage("user", "How many?")),
    "developer and system messages": (
        ChatMessage("system", "You are terse."),
        ChatMessage("developer", "Answer in SQL."),
        ChatMessage("user", "How many?"),
    ),
    "reasoning in the history": (
        ChatMessage("user", "Why?"),
        ChatMessage("assistant", "<think>\nHm. So what?\n</think>\n\nWhy not?"),
        ChatMessage("user", "So?"),
    ),
    "reasoning in an older turn": (
        ChatMessage("user", "Why?"),
        ChatMessage("assistant", "<think>Hm.</think>Why not?"),
        ChatMessage("user", "So?"),
        ChatMessage("assistant", "<think>\n\n</think>\n\nSo."),
        ChatMessage("user", "And?"),
    ),
    "empty texts": (
        ChatMessage("system", ""),
        ChatMessage("user", "\n\n"),
        ChatMessage("assistant", ""),
        ChatMessage("user", "Well?"),
    ),
    "a result of a tool": (
        ChatMessage("user", "How many?"),
        ChatMessage("assistant", "I shall look."),
        ChatMessage("tool", '{"rows": 3}'),
        ChatMessage("user", "So?"),
    ),
    "a tool call as text": (
        ChatMessage("user", "How many?"),
        ChatMessage("assistant", '<tool_call>\n{"name": "count", "arguments": {}}\n</tool_call>'),
        ChatMessage("tool", "3"),
        ChatMessage("assistant", "Three."),
        ChatMessage("user", "So?"),
    ),
    "two questions in a row": (ChatMessage("user", "one"), ChatMessage("user", "two")),
    "a call of a tool and its result": (
        ChatMessage("user", "How many?"),
        ChatMessage("assistant", "", tool_calls=(ToolCall("call00001", "count", '{"of": "beds", "least": 1.0}'),)),
        ChatMessage("tool", "3", name="count", tool_call_id="call00001"),
        ChatMessage("assistant", "Three.", reasoning="It says 3."),
        ChatMessage("user", "So?", name="Ann"),
    ),
}
TOOL: Mapping[str, Any] = {
    "type": "function",
    "function": {
        "name": "count",
        "parameters": {"type": "object", "properties": {"of": {"type": "string"}, "least": {"type": "number"}}},
    },
}
CONVERSATIONS: Mapping[str, Conversation] = {
    **{name: Conversation(messages) for name, messages in _MESSAGES.items()},
    "a tool": Conversation((RENDERING_PROBE,), tools=(TOOL,)),
    "a tool that may not be called": Conversation((RENDERING_PROBE,), tools=(TOOL,), tool_choice="none"),
}
"""By name: what a fast path to an engine's rendering is compared on at the start, besides each turn on its own."""
NO_CHAT_TEMPLATE = "the model has no chat template; give one with --chat-template FILE"

_FILLER = "a b c d e f g h "


def filler_ids(chat: Chat, tokens: int) -> list[int]:
    """Return a prompt of this many tokens that means nothing; a shorter one is a prefix of a longer one."""
    some = chat.encode(_FILLER)
    return (some * tokens)[:tokens]
