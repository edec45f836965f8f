"""A chat that renders otherwise than the fake engine's own."""

from dataclasses import replace

from forefill_service.chat.messages import Conversation
from forefill_service.engine import FakeChat


class OtherChat(FakeChat):
    """Renders the same conversation with one more line before the answer, and another name for the system."""

    def render(self, conversation: Conversation) -> str:
        renamed = (replace(m, role="developer") if m.role == "system" else m for m in conversation.messages)
        return super().render(replace(conversation, messages=tuple(renamed))) + "<|end|>\n"
