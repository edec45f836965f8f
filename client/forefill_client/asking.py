"""What a session asks for, one thing at a time: an answer, a hand-off, or another conversation."""

from collections.abc import Iterable
from functools import partial

from forefill.v1 import keystroke_pb2 as pb

from .answer import Answer
from .checks import checked_int, checked_iterable
from .composition import Events
from .conversation import Conversation
from .errors import EmptySubmit, GenerationRunning, InvalidRequest
from .exchange import Exchange
from .hand_off import HandedOff
from .handing_off import HandOff, Stage
from .messages import MessageLike, message_from_wire, message_to_wire
from .report import Ledger, Opened
from .tool_choice import ToolChoice, check_known, tool_choice_to_wire

_NOT_OPEN = "the session is not open yet: enter its `with` or `async with` block first"


class Asking:
    """Asks over the exchange of one session, when nothing else is being answered."""

    def __init__(self, conversation: Conversation, exchange: Exchange) -> None:
        self._conversation = conversation
        self._composition = conversation.composition
        self._history = conversation.history
        self._hand_offs = conversation.hand_offs
        self._exchange = exchange

    @property
    def opened(self) -> Opened:
        """What the server said when the stream opened."""
        if self._conversation.opened is None:
            raise RuntimeError(_NOT_OPEN)
        return self._conversation.opened

    def check_usable(self) -> None:
        """Raise the error that ended the session, or the server's error about an earlier event."""
        if not self._exchange.started:
            raise RuntimeError(_NOT_OPEN)
        if self._exchange.failure is not None:
            raise self._exchange.failure
        self._conversation.check()

    async def _settled(self) -> None:
        """Wait for the end of what is being ended; raise GenerationRunning if an answer runs, or a hand-off is open."""
        self.check_usable()
        if (hand_off := self._hand_offs.current) is not None:
            await self._exchange.until(lambda: hand_off.stage is not Stage.ENDING)
            self.check_usable()
        if self._hand_offs.current is not None:
            raise GenerationRunning(
                "a hand-off is open: say what came of it with its finished(), or call its cancel()",
                session_continues=True,
                reason="GENERATION_RUNNING",
            )
        if self._conversation.cancelling:
            await self._exchange.until(lambda: not self._conversation.answering)
            self.check_usable()
        if self._conversation.answering:
            raise GenerationRunning(
                "an answer is still running: iterate over it to the end first, or cancel it",
                session_continues=True,
                reason="GENERATION_RUNNING",
            )

    async def submit(self, text: str | None, tool_choice: ToolChoice | None) -> Answer:
        """Ask for the answer to a text; None: the draft."""
        await self._settled()
        return await self._answer([self._composition.submit(text, self._choice(tool_choice))])

    async def rewrite(self, keep_messages: int, messages: Iterable[MessageLike] = ()) -> None:
        """Let these messages follow on the first ones."""
        await self._settled()
        there = len(self._history.messages)
        if not 0 <= checked_int(keep_messages, "keep_messages") <= there:
            raise InvalidRequest(
                f"cannot keep {keep_messages} of {there} messages: give 0 to {there}", session_continues=True
            )
        added = [message_to_wire(message) for message in checked_iterable(messages, "messages")]
        kept = self._history.messages[:keep_messages]
        self._history.messages = kept + tuple(message_from_wire(message) for message in added)
        await self._exchange.send(self._composition.rewrite(keep_messages, added))

    async def respond(self, messages: Iterable[MessageLike], tool_choice: ToolChoice | None) -> Answer:
        """Ask for the answer to the conversation with these messages at its end."""
        await self._settled()
        choice = self._choice(tool_choice)
        if not self.opened.accepts_respond:
            raise InvalidRequest(
                "the server does not know respond(): it is older than this client", session_continues=True
            )
        if added := list(checked_iterable(messages, "messages")):
            await self.rewrite(len(self._history.messages), added)
        if not self._history.messages:
            raise EmptySubmit(
                "there is no message to respond to: give one, or submit a text",
                session_continues=True,
                reason="EMPTY_SUBMIT",
            )
        return await self._answer([self._composition.respond(choice)])

    async def regenerate(self, tool_choice: ToolChoice | None) -> Answer:
        """Ask once more for the last answer: by its question or, if that cannot be submitted, without one."""
        await self._settled()
        choice = self._choice(tool_choice)
        history = self._history
        text = history.last_question(self._conversation.answer)
        if text is not None and self._composition.fits(text):
            await self.rewrite(len(history.messages) - history.turn_messages)
            return await self._answer(self._composition.submit_beside(text, choice))
        if (before := history.before_last_answer) and self.opened.accepts_respond:
            await self.rewrite(before)
            return await self.respond((), tool_choice)
        raise InvalidRequest("the conversation does not end with a question and its answer", session_continues=True)

    async def hand_off(self, text: str | None, tool_choice: ToolChoice | None) -> HandedOff:
        """Ask how to ask the engine; if nobody waits for the reply, the hand-off is taken back."""
        await self._settled()
        event = self._composition.hand_off(text, self._choice(tool_choice))
        hand_off = self._hand_offs.begin(event)
        try:
            await self._exchange.send(event)
            await self._exchange.until(lambda: hand_off.stage is not Stage.ASKED)
        except BaseException:
            if self._still_heard:
                self._exchange.put(self._hand_offs.drop(hand_off))
            raise
        if hand_off.error is not None:
            raise hand_off.error
        return self._hand_offs.handed_off(hand_off, partial(self._end_hand_off, hand_off))

    async def _end_hand_off(self, hand_off: HandOff, finished: pb.HandOffFinished | None) -> Ledger | None:
        """End a hand-off by what came of it, None: it is taken back; return its ledger, None if nobody tells."""
        if hand_off.stage is Stage.OPEN:
            self.check_usable()
            hand_off.error = None
            self._exchange.put(self._hand_offs.end(hand_off, finished))
        elif finished is not None:
            raise InvalidRequest("the hand-off is over: hand off again", session_continues=True)
        await self._exchange.until(lambda: hand_off.stage is not Stage.ENDING)
        if hand_off.error is not None:
            raise hand_off.error
        return hand_off.ledger

    def _choice(self, tool_choice: ToolChoice | None) -> pb.ToolChoice | None:
        choice = tool_choice_to_wire(tool_choice)
        check_known(choice, accepted=self.opened.accepts_tool_choice)
        return choice

    async def _answer(self, events: Events) -> Answer:
        """Ask by these events, the first of which is the submit, or asks without one."""
        answer = self._conversation.ask(events, self._exchange.until, self._cancel)
        await self._exchange.send(*events)
        return answer

    def _cancel(self, keep_text: bool) -> None:
        if self._still_heard:
            self._exchange.put(self._conversation.cancel(keep_text=keep_text))

    @property
    def _still_heard(self) -> bool:
        return self._exchange.failure is None and not self._composition.ended
