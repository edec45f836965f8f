"""Streams as the operator sees them: counted, traced, and a line in the log at the end of each session.

The record of a stream is told what is received and said on it, and keeps counts and names of reasons alone. The line
holds the session's ledger, which adds up those of its turns.
"""

import logging
import secrets
import time
from collections import Counter
from dataclasses import fields

from ..access.caller import Caller
from ..errors import Reason
from ..session.events import (
    CharAdd,
    CharDelete,
    Flush,
    HandOff,
    KeystrokeEvent,
    Open,
    Replace,
    Respond,
    Submit,
    Unknown,
)
from ..session.ledger import Balance
from ..session.responses import FlushResult, GenerationFinished, GenerationStarted, Response, SessionError
from .metric_table import CANCELLED, ENDED, label_of
from .metrics import Metrics
from .traces import NO_SPAN, Span
from .turn_span import TurnSpan

log = logging.getLogger(__name__)

_EDITS = (CharAdd, CharDelete, Replace)
_ASKS = (Submit, Respond, HandOff)
_ROWS = tuple(row.name for row in fields(Balance) if row.name != "outcomes")


class StreamRecord:
    """What is known of one stream. `id` is random: it names the stream in the log and the trace, and nowhere else."""

    def __init__(self, metrics: Metrics, span: Span = NO_SPAN) -> None:
        self.id = secrets.token_hex(8)
        self._metrics = metrics
        self._span = span
        self._began_at = time.monotonic()
        self._caller: Caller | None = None
        self._how = CANCELLED
        self._counts: Counter[str] = Counter()
        self._books: Counter[str] = Counter()
        self._requests = self._turns = 0
        self._asked: int | None = None
        self._turn = self._new_turn()
        self._next: TurnSpan | None = None

    def opened(self, caller: Caller) -> None:
        """Record that the stream's session is open, and whose it is."""
        self._caller = caller

    def received(self, event: Open | KeystrokeEvent | Unknown) -> None:
        """Count an event; the first key of a turn begins its span, and of all others it takes no notice."""
        self._metrics.received(event)
        self._counts["events"] += 1
        if not self._span.recording or not isinstance(event, KeystrokeEvent):
            return
        kind = event.kind
        if isinstance(kind, _EDITS):
            self._typed_turn().typed()
        elif isinstance(kind, Flush):
            self._typed_turn().flushed()
        elif isinstance(kind, _ASKS) and not self._turn.submitted:
            self._asked = event.seq
            self._turn.submit()

    def sent(self, response: Response) -> None:
        """Take note of a response: the end of an answer ends the turn's span."""
        match response:
            case FlushResult(outcome=outcome, shed_reason=shed_reason):
                self._counts["flushes"] += 1
                self._metrics.flushed(outcome, shed_reason)
            case GenerationStarted():
                self._turn.started(response)
            case GenerationFinished():
                self._counts["answers"] += 1
                self._turn.finished(response)
                self._begin_turn()
            case SessionError():
                self._counts["refusals"] += 1
                if response.seq == self._asked:
                    self._turn.end(response.reason.name)
                    self._begin_turn()

    def settled(self, balance: Balance) -> None:
        """Add a turn's ledger to the books of the session, and to the metrics."""
        self._metrics.settled(balance)
        for row in _ROWS:
            self._books[row] += getattr(balance, row)

    def request_id(self) -> str:
        """Return the id of the next request to the engine; "" if nobody traces it, and the engine chooses one."""
        if not self._span.recording:
            return ""
        self._requests += 1
        request_id = f"forefill-{self.id}-{self._requests}"
        (self._next or self._turn).requested(request_id)
        return request_id

    def ended(self) -> None:
        """Record that the stream ends in good order."""
        self._how = ENDED

    def refused(self, reason: Reason) -> None:
        """Record that the stream ends for a reason."""
        self._metrics.refused(reason)
        self._how = label_of(reason)

    def close(self) -> None:
        """Count the stream as ended, end its spans, and write the line of its session."""
        error = "" if self._how == ENDED else self._how
        self._metrics.stream_ended(self._how)
        for turn in (self._turn, self._next):
            if turn is not None:
                turn.end(error)
        tenant = "" if self._caller is None else self._caller.tenant
        self._span.describe({"id": self.id, "end": self._how, "tenant": tenant, **self._counts})
        self._span.end(error)
        if self._caller is not None:
            log.info("a session has ended", extra={"forefill": self._line(self._caller)})

    def _line(self, caller: Caller) -> dict[str, str | float]:
        named = {"stream": self.id, "caller": caller.name, "tenant": caller.tenant, "end": self._how}
        seconds = {"seconds": round(time.monotonic() - self._began_at, 3)}
        counts = {name: self._counts[name] for name in ("events", "flushes", "answers", "refusals")}
        return named | seconds | counts | {row: round(self._books[row], 3) for row in _ROWS}

    def _typed_turn(self) -> TurnSpan:
        """Return the turn that keys are typed in: while an answer runs, the next one."""
        if not self._turn.submitted:
            return self._turn
        if self._next is None:
            self._next = self._new_turn()
        return self._next

    def _begin_turn(self) -> None:
        self._asked, self._next, self._turn = None, None, self._next or self._new_turn()

    def _new_turn(self) -> TurnSpan:
        self._turns += 1
        return TurnSpan(self._span, self._turns)
