"""Where traces go: to the collector that the settings name, or nowhere."""

from ..errors import ServiceError
from .traces import NO_TRACES, Traces


class TracesNotInstalled(ServiceError):
    """Raised when traces are asked for and OpenTelemetry is not there."""


def traces_to(endpoint: str) -> Traces:
    """Return traces that go to an OTLP collector, or nowhere if the endpoint is "".

    Raises TracesNotInstalled.
    """
    if not endpoint:
        return NO_TRACES
    check_traces(endpoint)
    from .otel import OtelTraces

    return OtelTraces.to(endpoint)


def check_traces(endpoint: str) -> None:
    """Raise TracesNotInstalled if there is an endpoint, and nothing that could send traces there."""
    if not endpoint:
        return
    try:
        from . import otel  # noqa: F401
    except ImportError as error:
        raise TracesNotInstalled(
            f"--otlp-endpoint needs OpenTelemetry ({error}); install forefill with its extra 'traces'"
        ) from error
