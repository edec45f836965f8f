"""Traces: a span for each stream, and one for each of its turns. Off unless a collector is named.

The seam to OpenTelemetry, which is imported by `otel` alone, and only if it is used. Spans hold counts, times, names of
reasons and ids of requests: nothing that was typed, and nothing for each keystroke.
"""

from collections.abc import Iterable, Mapping

Attribute = str | int | float | bool | list[str]
Metadata = Iterable[tuple[str, str | bytes]] | None
"""The gRPC metadata of a stream."""


class Span:
    """A span that records nothing; `recording` says whether one does. Times are nanoseconds since the epoch."""

    recording = False

    def child(self, name: str, began_at_ns: int) -> "Span":
        """Begin a span inside this one."""
        return self

    def happened(self, name: str) -> None:
        """Record that something happened now."""

    def describe(self, attributes: Mapping[str, Attribute]) -> None:
        """Set attributes; their names are written without the prefix `forefill.`."""

    def end(self, error: str = "") -> None:
        """End it, with the name of what went wrong, if anything did."""


NO_SPAN = Span()


class Traces:
    """Traces that go nowhere."""

    def stream(self, metadata: Metadata) -> Span:
        """Begin the span of a stream, inside the caller's own if its metadata names one."""
        return NO_SPAN

    async def aclose(self) -> None:
        """Send what is left; that takes a few seconds at most."""


NO_TRACES = Traces()
