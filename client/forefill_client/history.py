"""The messages of a session, and what each of its turns adds to them."""

from dataclasses import replace

from forefill.v1 import keystroke_pb2 as pb

from .answer import Answer
from .messages import ChatMessage, message_from_wire
from .outcomes import FinishReason


class History:
    """The conversation before the draft.

    A turn adds a question and its answer, or, with `continue_final_message`, one message that the answer continues.
    """

    def __init__(self, opening: pb.Open) -> None:
        self.messages = tuple(message_from_wire(message) for message in opening.messages)
        self._continues = opening.continue_final_message
        self._draft_name = opening.draft_name or None

    @property
    def turn_messages(self) -> int:
        """Number of messages that a turn adds."""
        return 1 if self._continues else 2

    @property
    def before_last_answer(self) -> int | None:
        """Number of messages before the last answer; None if it does not end with one."""
        ends_with_one = not self._continues and self.messages[-1:] and self.messages[-1].role == "assistant"
        return len(self.messages) - 1 if ends_with_one else None

    def last_question(self, answer: Answer | None) -> str | None:
        """Return the text that was submitted for the last answer, which is this one if the session asked for one.

        None if the conversation does not end with a question and its answer.
        """
        if self._continues:
            if answer is None or not answer.stays or not answer.submitted_text:
                return None
            turn = _continued(self.drafted(answer.submitted_text), answer)
            return answer.submitted_text if self.messages[-1:] == (turn,) else None
        match self.messages[-2:]:
            case (ChatMessage("user", text) as question, ChatMessage("assistant")) if question == self.drafted(text):
                return text
            case _:
                return None

    def drafted(self, text: str) -> ChatMessage:
        """Return what a draft becomes: the user's message, or the beginning of the assistant's."""
        return ChatMessage("assistant" if self._continues else "user", text, name=self._draft_name)

    def add(self, answer: Answer) -> None:
        """Add an answer, and its question if that is new."""
        text = answer.submitted_text
        asked = (*self.messages, self.drafted(text)) if text else self.messages
        if self._continues:
            *before, begun = asked
            self.messages = (*before, _continued(begun, answer))
        else:
            self.messages = (*asked, _continued(ChatMessage("assistant", ""), answer))


def _continued(message: ChatMessage, answer: Answer) -> ChatMessage:
    """Return a message of the assistant's with an answer at its end; of one that was stopped only the text is kept."""
    calls = () if answer.report.finish_reason is FinishReason.CANCELLED else answer.tool_calls
    return replace(message, content=message.content + answer.text_so_far, tool_calls=(*message.tool_calls, *calls))
