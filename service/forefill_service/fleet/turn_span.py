"""The span of one turn: from its first key to the end of its answer, with the requests that the engine got for it."""

import time

from ..session.ledger import Balance
from ..session.responses import CANCELLED, HANDED_OFF, GenerationFinished, GenerationStarted
from .metric_table import LEDGER_ROWS, PREGENERATED_ROWS, label_of
from .traces import NO_SPAN, Attribute, Span

MOST_REQUESTS = 64
"""Requests of one turn whose ids are kept."""
_FINISH_REASONS = {"stop", "length", "tool_calls", CANCELLED, HANDED_OFF}
"""Those that are told; an engine may have words of its own."""


class TurnSpan:
    """The span of one turn of a stream. It begins with the turn's first key, so a turn nobody types in has none."""

    def __init__(self, stream: Span, number: int) -> None:
        self._stream = stream
        self._number = number
        self._span = NO_SPAN
        self._requests: list[str] = []
        self._flushes = 0
        self.submitted = False

    def typed(self) -> None:
        """Begin, if it has not begun."""
        if self._span is NO_SPAN and self._stream.recording:
            self._span = self._stream.child("forefill.turn", time.time_ns())

    def flushed(self) -> None:
        """Count a FLUSH."""
        self._flushes += 1

    def submit(self) -> None:
        """Record that its answer is asked for."""
        self.typed()
        self.submitted = True
        self._span.happened("submit")

    def requested(self, request_id: str) -> None:
        """Note a request to the engine."""
        if len(self._requests) < MOST_REQUESTS:
            self._requests.append(request_id)

    def started(self, started: GenerationStarted) -> None:
        """Record the first token."""
        self._span.happened("first token")
        self._span.describe({"source": label_of(started.source), "ttft_seconds": started.ttft_seconds})

    def finished(self, finished: GenerationFinished) -> None:
        """Describe its answer, and end it."""
        self._span.describe(
            {
                "finish_reason": finished.reason if finished.reason in _FINISH_REASONS else "other",
                "prompt_tokens": finished.prompt_tokens,
                "cached_tokens": finished.cached_tokens,
                "completion_tokens": finished.completion_tokens,
                **_rows(finished.ledger),
            }
        )
        self.end()

    def end(self, error: str = "") -> None:
        """End it without an answer, if it has begun."""
        self._span.describe({"turn": self._number, "flushes": self._flushes, "engine_requests": self._requests})
        self._span.end(error)


def _rows(balance: Balance) -> dict[str, Attribute]:
    rows = ("warms", *LEDGER_ROWS, "pregenerations", *PREGENERATED_ROWS)
    return {f"ledger.{row}": getattr(balance, row) for row in rows}
