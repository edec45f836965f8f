"""What a session asks for, one thing at a time: an answer, or a hand-off."""

from functools import partial

from forefill.v1 import keystroke_pb2 as pb

from .answer import Answer
from .composition import Events
from .conversation import Conversation
from .errors import GenerationRunning, InvalidRequest
from .exchange import Exchange
from .hand_off import HandedOff
from .handing_off import HandOff, Stage
from .report import Ledger


class Asking:
    """Asks over the exchange of one session, when nothing else is being answered."""

    def __init__(self, conversation: Conversation, exchange: Exchange) -> None:
        self._conversation = conversation
        self._hand_offs = conversation.hand_offs
        self._exchange = exchange

    def check_usable(self) -> None:
        """Raise the error that ended the session, or the server's error about an earlier event."""
        if not self._exchange.started:
            raise RuntimeError("the session is not open yet: enter its `with` or `async with` block first")
        if self._exchange.failure is not None:
            raise self._exchange.failure
        self._conversation.check()

    async def settled(self) -> None:
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

    async def answer(self, events: Events) -> Answer:
        """Ask by these events, the first of which is the submit, or asks without one."""
        answer = self._conversation.ask(events, self._exchange.until, self._cancel)
        await self._exchange.send(*events)
        return answer

    async def hand_off(self, event: pb.KeystrokeEvent) -> HandedOff:
        """Ask how to ask the engine, by this event; if nobody waits for the reply, the hand-off is taken back."""
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

    def _cancel(self, keep_text: bool) -> None:
        if self._still_heard:
            self._exchange.put(self._conversation.cancel(keep_text=keep_text))

    @property
    def _still_heard(self) -> bool:
        return self._exchange.failure is None and not self._conversation.composition.ended
