"""How fast the events of a stream are taken in. Others stay unread, so that the client has to wait.

    an event                                  counts as
    SUBMIT, Respond, HandOff, Rewrite         `COSTLY`: has an answer made, or a whole conversation rendered
    FLUSH                                     1, and 1 for each `LONG` code points of the draft, which is rendered
    text that is typed or pasted              1, and 1 for each `LONG` code points of it
    any other                                 1

Both the session and its caller have a rate, and the events of a caller take turns on the event loop: while others are
there, most of its passes are theirs. Of callers whom nobody tells apart, those take turns that count as more than 1.

If a client does not take its answers, few events are read and unanswered: a SUBMIT whose answer is on its way, a FLUSH
that is being warmed, one that waits for that, and the event whose answer is being written. No more are read until the
client takes what is written, or `--write-timeout-seconds` is over.
"""

from collections.abc import AsyncIterator

from ..access.rates import Bucket
from ..fleet.backend import Backend
from ..fleet.shares import Share
from ..serving.runner import Event
from ..session.events import CharAdd, Flush, HandOff, KeystrokeEvent, Replace, Respond, Rewrite, Submit

BURST_SECONDS = 10
"""So many seconds' worth of a session's events are read at once."""
COSTLY = 100
LONG = 1024
FLUSH_TURNS = 8
"""What follows from a FLUSH (a rendering, a warm, its result) takes as many turns of the caller."""


async def paced(events: AsyncIterator[Event], share: Share, backend: Backend) -> AsyncIterator[Event]:
    """Yield events no faster than one session, and its caller, may send them."""
    per_second = backend.settings.limits.events_per_second
    bucket = Bucket(per_second, BURST_SECONDS * per_second, backend.clock)
    async for event in events:
        cost = _cost_of(event)
        await share.take_in(cost, backend.sleep, bucket.take(cost), turns=_turns_of(event))
        yield event
        del event  # it may be long, and the next may not come for hours


def _cost_of(event: Event) -> int:
    match event:
        case KeystrokeEvent(_, Submit() | Respond() | HandOff() | Rewrite()):
            return COSTLY
        case KeystrokeEvent(_, Flush(draft_code_points=code_points)):
            return min(COSTLY, 1 + code_points // LONG)  # a false number may be greater than any draft
        case KeystrokeEvent(_, CharAdd(text) | Replace(text=text)):
            return 1 + len(text) // LONG
    return 1


def _turns_of(event: Event) -> int:
    return FLUSH_TURNS if isinstance(event, KeystrokeEvent) and isinstance(event.kind, Flush) else 1
