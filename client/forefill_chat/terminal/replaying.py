"""Types traces into the app as a person would, at their times."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from forefill_client.keystrokes import StrokeKind, Trace
from forefill_client.keystrokes.playback import paced

from .draft_keys import BoxEdit, box_edit


@dataclass(frozen=True, slots=True)
class Replay:
    """Traces to type, one a turn, `speed` times as fast as recorded."""

    traces: Sequence[Trace] = ()
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Keys:
    """What the typist of a replay can do: look at the box, edit it, press Enter, wait until the next turn may begin."""

    text: Callable[[], str]
    edit: Callable[[BoxEdit], None]
    enter: Callable[[], None]
    until_ready: Callable[[], Awaitable[object]]


async def replay(plan: Replay, keys: Keys) -> None:
    """Type every trace; each begins when the answer to the one before has ended."""
    for trace in plan.traces:
        await keys.until_ready()
        async for stroke in paced(trace, plan.speed):
            if stroke.kind is StrokeKind.SUBMIT:
                keys.enter()
            elif (edit := box_edit(stroke, keys.text())) is not None:
                keys.edit(edit)
