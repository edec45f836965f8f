"""What an operator can set, by flag, by environment (`FOREFILL_…`), or not at all."""

from typing import Any, Literal

from pydantic import Field, FilePath
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The settings of one server; every one has a default that suits a trial on one machine."""

    model_config = SettingsConfigDict(env_prefix="FOREFILL_", extra="forbid", frozen=True)

    host: str = Field(
        "127.0.0.1", description="address to listen on; there is no authentication yet, so keep it private"
    )
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    metrics_port: int = Field(
        9464,
        ge=-1,
        le=65535,
        description="port of the Prometheus metrics, on the same address; 0 takes a free one, -1 none",
    )
    engine: Literal["embedded", "fake"] = Field(
        "embedded", description="what runs the model: vLLM in this process's charge, or a fake without a model"
    )
    model: str = Field(
        "", description="name or directory of a model, as vLLM takes it; default: the packaged SmolLM2-135M"
    )
    chat_template: FilePath | None = Field(
        None, description="file with a chat template to use in place of the model's own"
    )
    block_size: int | None = Field(
        None, ge=1, description="tokens of a cache block; default: 32 on a CPU, else as vLLM chooses"
    )
    context_tokens: int | None = Field(
        None, ge=64, description="longest prompt and answer together, in tokens; default: the model's own"
    )
    cache_gib: float | None = Field(
        None, gt=0, description="memory for cached blocks, in GiB; default: 1 on a CPU, else as vLLM chooses"
    )
    engine_args: dict[str, Any] = Field(
        default_factory=dict,
        description="more of vLLM's engine arguments as JSON, for example '{\"tensor_parallel_size\": 2}'; they win",
    )
    warm_piece_tokens: int = Field(
        512, ge=1, description="most new tokens of one warm, rounded to whole blocks: a long prompt is warmed in pieces"
    )
    max_sessions: int = Field(1000, ge=1, description="most sessions open at once; more are refused")
    max_draft_code_points: int = Field(65536, ge=1, description="longest draft, in Unicode code points")
    max_message_bytes: int = Field(4 * 1024 * 1024, ge=4096, description="largest message on the wire, in bytes")
    write_timeout_seconds: float = Field(
        10, gt=0, description="how long one write may wait for a client that does not read before its stream is ended"
    )
    stop_grace_seconds: float = Field(10, ge=0, description="how long running answers may go on when the server stops")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severity that is logged")
