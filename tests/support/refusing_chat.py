"""A chat that renders nothing."""

from forefill_service.chat.messages import Conversation
from forefill_service.engine import FakeChat
from forefill_service.errors import Reason, Refusal


class RefusingChat(FakeChat):
    """A template that refuses every conversation in these words."""

    def __init__(self, words: str) -> None:
        self._words = words

    def render(self, conversation: Conversation) -> str:
        """Raise Refusal."""
        raise Refusal(Reason.TEMPLATE_REFUSED, self._words)
