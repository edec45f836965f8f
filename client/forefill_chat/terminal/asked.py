"""A turn with the conversation around it, and its twin, which is asked with the same."""

from collections.abc import Callable
from dataclasses import dataclass

from forefill_client import AsyncClient, ChatMessage, ForefillError, Sampling

from .. import twin
from .error_words import in_words
from .turns import Turn


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn that was asked for."""

    turn: Turn
    before: tuple[ChatMessage, ...]
    """The conversation before it."""
    added: tuple[ChatMessage, ...] = ()
    """What of it came into the conversation."""


async def measure_twin(
    asked: Asked, client: AsyncClient, sampling: Sampling | None, changed: Callable[[], None]
) -> None:
    """Measure what the answer would have waited without forefill; the turn says how that goes."""
    turn = asked.turn

    def note(words: str) -> None:
        turn.twin_note = words
        turn.changed()
        changed()

    note("measuring the wait without forefill …")
    try:
        turn.twin = await twin.measure(client, asked.before, turn.question, sampling)
        note("")
    except ForefillError as error:
        note(f"not measured: {error if isinstance(error, twin.NotMeasured) else in_words(error)}")
