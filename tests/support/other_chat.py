"""A chat that renders otherwise than the fake engine's own."""

from collections.abc import Mapping, Sequence
from typing import Any

from forefill_service.chat.messages import ChatMessage
from forefill_service.engine import FakeChat


class OtherChat(FakeChat):
    """Renders the same conversation with one more line before the answer, and another name for the system."""

    def render(self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> str:
        renamed = [ChatMessage("developer" if m.role == "system" else m.role, m.content) for m in messages]
        return super().render(renamed, kwargs) + "<|end|>\n"
