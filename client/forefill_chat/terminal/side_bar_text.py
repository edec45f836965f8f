"""The side bar's text: headings and lines, from the state of the chat. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from forefill_client import FlushOutcome, FlushResult, ShedReason

from .bars import gauge, milliseconds
from .chat_state import ChatState, Link
from .turns import Turn

COLUMNS: Final = 34
"""Room for a line; longer ones are wrapped."""
WAITS_SHOWN: Final = 6


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with its lines."""

    heading: str
    lines: tuple[str, ...]


def sections(state: ChatState) -> list[Section]:
    """Return all sections, in order; none is empty."""
    drawn = (
        ("model", _model(state)),
        ("prompt", _prompt(state)),
        ("warms", _warms(state)),
        ("guesses", _guesses(state)),
        ("waits", _waits(state.turns)),
        ("last answer", _ledger(state.last_turn)),
    )
    return [Section(heading, lines) for heading, found in drawn if (lines := tuple(found))]


def status(state: ChatState) -> str:
    """Return the most of it in one line, for a screen without a side bar."""
    parts = [state.model or "no model yet"]
    if state.link is not Link.OPEN:
        parts = [state.link.value]
    if state.prompt_tokens:
        parts.append(f"{state.cached_tokens:,}/{state.prompt_tokens:,} cached")
    if state.turns and (wait_ms := state.turns[-1].wait_ms) is not None:
        parts.append(milliseconds(wait_ms))
    return " · ".join(parts)


def _model(state: ChatState) -> Iterator[str]:
    yield state.model or "not known yet"
    if state.link is not Link.OPEN:
        yield state.link.value
    if state.link_reason:
        yield state.link_reason
    if state.inert_reason:
        yield f"Warming has no effect here: {state.inert_reason}"


def _prompt(state: ChatState) -> Iterator[str]:
    if state.prompt_tokens:
        yield f"{state.cached_tokens:,} of {state.prompt_tokens:,} tokens cached"
        yield gauge(state.cached_tokens / state.prompt_tokens, COLUMNS)


_OUTCOMES = {
    FlushOutcome.WARMED: "warmed",
    FlushOutcome.NOTHING_NEW: "no whole new block",
    FlushOutcome.INERT: "no effect here",
    FlushOutcome.UNKNOWN: "a newer server's outcome",
}
_SHED = {
    ShedReason.LOAD: "not done: busy engine",
    ShedReason.PAYBACK: "not done: little was used",
    ShedReason.FAILED: "not done: it failed",
    ShedReason.QUOTA: "not done: tokens used up",
}


def _warms(state: ChatState) -> Iterator[str]:
    if not state.warms:
        yield "none yet: type a word"
    for words, same in groupby(map(_warm, reversed(state.warms))):
        count = len(list(same))
        yield words if count == 1 else f"{words}, {count} times"


def _warm(result: FlushResult) -> str:
    if result.outcome is FlushOutcome.WARMED:
        return f"+{result.computed_tokens:,} → {result.cached_tokens:,} tokens"
    if result.outcome is FlushOutcome.SHED:
        return _SHED.get(result.shed_reason, "not done")
    return _OUTCOMES.get(result.outcome, str(result.outcome))


def _guesses(state: ChatState) -> Iterator[str]:
    guesses = state.guesses
    yield f"{guesses.begun} begun · {guesses.adopted} used · {guesses.wasted} wasted"


def _waits(turns: list[Turn]) -> Iterator[str]:
    numbered = [(number, turn) for number, turn in enumerate(turns, start=1) if turn.wait_ms is not None]
    for number, turn in numbered[-WAITS_SHOWN:]:
        assert turn.wait_ms is not None  # noqa: S101 (chosen by it)
        yield f"{number}. {milliseconds(turn.wait_ms)}, {turn.source}"
        if turn.twin is not None:
            cold, static = turn.twin.cold.seconds * 1000, turn.twin.static.seconds * 1000
            yield f"   without: {milliseconds(cold)} cold,"
            yield f"   {milliseconds(static)} conversation cached"


def _ledger(turn: Turn | None) -> Iterator[str]:
    if turn is not None:
        yield from turn.ledger
