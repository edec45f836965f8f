"""A conversation as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """All messages of a conversation, the user's last one included, and the variables for the chat template."""

    messages: tuple[ChatMessage, ...]
    template_kwargs: Mapping[str, Any]
