"""The conversation as a client rewrites it: by a Rewrite, or by what it says of a hand-off."""

from dataclasses import replace

from ..chat.messages import MOST_MESSAGES, ChatMessage, Conversation, count_messages
from ..errors import Reason, Refusal


def rewritten(
    conversation: Conversation,
    keep_messages: int,
    added: tuple[ChatMessage, ...],
    most_code_points: int,
    reason: Reason,
) -> Conversation:
    """Return a conversation with its first messages and these; raise Refusal, with this reason, if they do not fit."""
    if keep_messages > (there := len(conversation.messages)):
        raise Refusal(reason, f"keep_messages is {keep_messages}, of {there} messages")
    if not all(message.role for message in added):
        raise Refusal(reason, "every message needs a role")
    messages = conversation.messages[:keep_messages] + added
    if (count := count_messages(messages)) > MOST_MESSAGES:
        raise Refusal(reason, f"{count} messages and calls of tools, and {MOST_MESSAGES} are allowed")
    if (size := sum(message.size for message in messages)) > most_code_points:
        raise Refusal(reason, f"{size} of {most_code_points} code points")
    return replace(conversation, messages=messages)
