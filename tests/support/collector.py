"""An OpenTelemetry collector on loopback: it takes what is sent by OTLP over HTTP, and forgets nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Collector:
    """What was collected: spans, and all bytes that came."""

    url: str = ""
    spans: list[Any] = field(default_factory=list)
    raw: bytes = b""

    def named(self, name: str) -> list[Any]:
        """Return the spans of this name, in the order in which they began."""
        found = [span for span in self.spans if span.name == name]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response()


def attributes(span: Any) -> dict[str, Any]:
    """Return the attributes of a span, without our prefix."""
    values = {item.key.removeprefix("forefill."): item.value for item in span.attributes}
    return {key: _plain(value) for key, value in values.items()}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return getattr(value, kind)


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Run a collector for the time of the block."""
    collected, app = Collector(), web.Application()
    app.router.add_post("/v1/traces", collected.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        collected.url = f"http://127.0.0.1:{port}"
        yield collected
    finally:
        await runner.cleanup()
