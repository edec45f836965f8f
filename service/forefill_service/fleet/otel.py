"""Traces by OpenTelemetry. Imported only if they are asked for.

Spans leave by OTLP over HTTP, from a thread of the SDK's, whose queue is bounded: if the collector is slow or away,
spans are dropped and nobody waits. OTLP over gRPC would bring a second gRPC stack into this process. The SDK's own
environment variables apply, OTEL_TRACES_SAMPLER and OTEL_EXPORTER_OTLP_HEADERS among them.
"""

import asyncio
import os
import threading
from collections.abc import Mapping
from contextlib import suppress

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .traces import Attribute, Metadata, Span, Traces

EXPORT_SECONDS = 5.0
"""How long one batch may take."""
CLOSE_SECONDS = 3.0
_CONTEXT_KEYS = ("traceparent", "tracestate")


class OtelTraces(Traces):
    """The traces of one server."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("forefill")

    @classmethod
    def to(cls, endpoint: str) -> "OtelTraces":
        """Return traces that go to a collector."""
        named = {"service.name": os.environ.get("OTEL_SERVICE_NAME", "forefill")}
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    def stream(self, metadata: Metadata) -> Span:
        """Begin the span of a stream, inside the one that W3C's trace context in its metadata names."""
        carrier = {key: value for key, value in metadata or () if key in _CONTEXT_KEYS and isinstance(value, str)}
        context = TraceContextTextMapPropagator().extract(carrier)
        return OtelSpan(self._tracer, self._tracer.start_span("forefill.stream", context=context, kind=SpanKind.SERVER))

    async def aclose(self) -> None:
        """Send what is left, for a few seconds at most."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            try:
                self._provider.shutdown()
            finally:
                with suppress(RuntimeError):  # nobody waits any more, and the loop has ended
                    loop.call_soon_threadsafe(done.set)

        # Not an executor's thread, which would hold up the end of the process: a collector may never answer.
        threading.Thread(target=shut_down, name="forefill-traces-end", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), CLOSE_SECONDS)


class OtelSpan(Span):
    """A span of OpenTelemetry's."""

    def __init__(self, tracer: Tracer, span: ApiSpan) -> None:
        self._tracer = tracer
        self._span = span
        self.recording = span.is_recording()

    def child(self, name: str, began_at_ns: int) -> Span:
        """Begin a span inside this one."""
        inside = set_span_in_context(self._span)
        return OtelSpan(self._tracer, self._tracer.start_span(name, context=inside, start_time=began_at_ns))

    def happened(self, name: str) -> None:
        """Record that something happened now."""
        self._span.add_event(name)

    def describe(self, attributes: Mapping[str, Attribute]) -> None:
        """Set attributes."""
        for name, value in attributes.items():
            self._span.set_attribute(f"forefill.{name}", value)

    def end(self, error: str = "") -> None:
        """End it; an error is the name of a reason, never a text."""
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()
