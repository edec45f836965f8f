"""What the last answers of one conversation waited, beside what they would have waited without forefill."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from forefill_chat.twin import measure
from forefill_client import AsyncClient, ChatMessage, ForefillError, Sampling

from .replies import Reply

REMEMBERED_TURNS: Final = 50
"""A twin can be measured of this many turns."""


@dataclass(slots=True)
class _Turn:
    messages: tuple[ChatMessage, ...]
    text: str
    waited_ms: float | None = None


class Twins:
    """Remembers what was asked, and measures it again on demand, one answer at a time."""

    def __init__(self, client: AsyncClient, sampling: Sampling | None, engine: asyncio.Semaphore) -> None:
        self._client = client
        self._sampling = sampling
        self._engine = engine
        self._turns: OrderedDict[int, _Turn] = OrderedDict()
        self._measuring = False

    def asked(self, turn: int, messages: tuple[ChatMessage, ...], text: str) -> None:
        """Take in that the answer to a text after these messages was asked for."""
        self._turns[turn] = _Turn(messages, text)
        if len(self._turns) > REMEMBERED_TURNS:
            self._turns.popitem(last=False)

    def waited(self, turn: int, milliseconds: float) -> None:
        """Take in how long the first token of an answer took."""
        if turn in self._turns:
            self._turns[turn].waited_ms = milliseconds

    async def measure(self, turn: int) -> Reply:
        """Return the message `twin`."""
        asked = self._turns.get(turn)
        if asked is None or asked.waited_ms is None:
            return _not_measured(turn, "there is no answer to compare with")
        if self._measuring:
            return _not_measured(turn, "another answer is being measured: wait for its result")
        self._measuring = True
        try:
            async with self._engine:
                twin = await measure(self._client, asked.messages, asked.text, self._sampling)
        except ForefillError as error:
            return _not_measured(turn, str(error))
        finally:
            self._measuring = False
        return {
            "type": "twin",
            "turn": turn,
            "cold_ms": twin.cold.seconds * 1000,
            "static_ms": twin.static.seconds * 1000,
            "waited_ms": asked.waited_ms,
        }


def _not_measured(turn: int, error: str) -> Reply:
    return {"type": "twin", "turn": turn, "error": error}
