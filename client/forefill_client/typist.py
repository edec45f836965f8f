"""A simulated user: the trace of a person, or of the notebook's typist, and a session on which it is typed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Final

from .answer import Answer
from .keystrokes import (
    TRANSCRIBING,
    FlushRule,
    Trace,
    TypingModel,
    plan_typing,
    replay,
    stroke_of,
    transcribing_at,
    typed_by,
)
from .keystrokes.playback import OnStroke
from .session import Session

GAUSSIAN_MEAN_MS: Final = 150.0
GAUSSIAN_TYPO_RATE: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    """How a text is typed; what is None is the typist's own."""

    mean_ms: float | None = None
    """Mean milliseconds from one key to the next."""
    typo_rate: float | None = None
    """The share of letters, or characters, at which the typist errs."""
    seed: int | None = None
    """Makes it repeatable; None makes it another each time."""


def human(text: str, typing: Typing) -> Trace:
    """Return the trace of a person who copies the text, drawn by the seed; one of the asked pace if there is one."""
    rng = Random(typing.seed)  # noqa: S311 (typing is no secret)
    people = TRANSCRIBING
    if typing.mean_ms is not None:
        people = replace(transcribing_at(typing.mean_ms), pace_spread=0.0)
    if typing.typo_rate is not None:
        people = replace(people, correction_rate=typing.typo_rate, correction_spread=0.0)
    return typed_by(people.typist(rng), text, rng)


def gaussian(text: str, typing: Typing) -> Trace:
    """Return the trace of the notebook's typist: normally distributed gaps, and typos that are noticed at once."""
    mean_ms = GAUSSIAN_MEAN_MS if typing.mean_ms is None else typing.mean_ms
    typo_rate = GAUSSIAN_TYPO_RATE if typing.typo_rate is None else typing.typo_rate
    model = TypingModel(mean_ms, mean_ms / 3, typo_rate=typo_rate, flush_rule=FlushRule.WORD)
    rng = Random(typing.seed)  # noqa: S311
    return tuple(stroke_of(event) for _, event in plan_typing(text, model, rng))


TYPISTS: Final[Mapping[str, Callable[[str, Typing], Trace]]] = MappingProxyType({"human": human, "gaussian": gaussian})
"""Who types, by name."""


async def type_and_submit(
    session: Session,
    trace: Trace,
    *,
    speed: float = 1.0,
    on_stroke: OnStroke | None = None,
    on_delta: Callable[[str], None] | None = None,
) -> Answer:
    """Type a trace that ends with SUBMIT, and return the whole answer; the session ends.

    A session made with `auto_flush=False` is flushed as the trace was.
    """
    answer = await replay(trace, session, speed=speed, on_stroke=on_stroke)
    if answer is None:
        raise RuntimeError("the typist did not submit")
    async for delta in answer:
        if on_delta:
            on_delta(delta)
    await session.end()
    return answer
