"""Settings of how operators see the server from outside."""

from typing import Literal

from pydantic import Field

from .group import Group


class ObservabilitySettings(Group):
    """Health, metrics, logs and traces. None of them holds what was typed."""

    health_port: int = Field(
        9465,
        ge=-1,
        le=65535,
        description="port for the gRPC health service alone, in plaintext, for probes of startup, readiness and "
        "liveness; 0 picks a free one, -1 disables it",
    )
    health_host: str = Field(
        "", description="address of --health-port, for example 0.0.0.0 for probes of Kubernetes (default: --host)"
    )
    metrics_port: int = Field(
        9464,
        ge=-1,
        le=65535,
        description="port for Prometheus metrics, on the address of --host; 0 picks a free one, -1 disables metrics",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="log messages of this severity and above"
    )
    log_format: Literal["human", "json"] = Field(
        "human", description="human: lines to read; json: one JSON object a line, those of libraries and vLLM included"
    )
    otlp_endpoint: str = Field(
        "",
        description="send traces to this OpenTelemetry collector, by OTLP over HTTP: http://HOST:4318; needs the extra "
        "'traces'; its credentials go into OTEL_EXPORTER_OTLP_HEADERS (default: no traces)",
    )
