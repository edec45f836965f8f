"""What an operator can set, by flag, by environment (`FOREFILL_…`), or not at all."""

from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, model_validator
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
    engine: Literal["embedded", "remote", "fake"] = Field(
        "embedded",
        description="what runs the model: vLLM in this process's charge, vLLM servers that are there already, or a "
        "fake without a model",
    )
    model: str = Field(
        "",
        description="name or directory of a model, as vLLM takes it; default: the packaged SmolLM2-135M; with remote "
        "engines, where its tokenizer is: default as their server names it",
    )
    engine_url: list[str] = Field(
        default_factory=list,
        description="vLLM servers of one model, or a router in front of them: http://HOST:PORT,http://HOST:PORT",
    )
    served_model: str = Field("", description="which of the models that the servers serve; default: the first")
    engine_api_key: SecretStr = Field(
        SecretStr(""), description="API key of the servers; better set by FOREFILL_ENGINE_API_KEY"
    )
    engine_headers: dict[str, str] = Field(
        default_factory=dict, description="more headers of each request to the servers, as JSON"
    )
    engine_ca_file: FilePath | None = Field(
        None, description="certificates to trust for https:// servers; default: the system's"
    )
    router: bool = Field(
        False, description="the one --engine-url is a router, which keeps a session together by --affinity-header"
    )
    router_workers: int = Field(1, ge=1, description="how many servers stand behind the router")
    affinity: Literal["session", "prompt"] = Field(
        "session",
        description="what is kept on one server: a session, or all sessions that open with the same messages",
    )
    affinity_header: str = Field("X-Session-ID", description="header in which a router is told what that is")
    data_parallel_size: int = Field(
        1, ge=1, description="engines inside each server (vLLM's --data-parallel-size); a session stays with one"
    )
    engine_wait_seconds: float = Field(
        600, ge=0, description="how long to wait at the start until one of the servers answers"
    )
    connect_timeout_seconds: float = Field(5, gt=0, description="how long a connection to a server may take")
    first_token_timeout_seconds: float = Field(
        120, gt=0, description="how long a server may take for the first token of an answer"
    )
    token_timeout_seconds: float = Field(30, gt=0, description="how long it may take from one token to the next")
    warm_timeout_seconds: float = Field(10, gt=0, description="how long it may take for a warm")
    probe_seconds: float = Field(
        5, gt=0, description="after how long a silence a server is probed by a request of one token"
    )
    probe_timeout_seconds: float = Field(
        5, gt=0, description="how long that may take before the server counts as down, unless it works for others"
    )
    retry_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="how many generations, as a share of all, may be sent once more to another server if theirs fails "
        "before the first token",
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
        2048, ge=1, description="most new tokens of one warm: a long prompt is warmed in pieces of whole blocks"
    )
    warms_in_flight: int = Field(4, ge=1, description="most warms in the engine at once, over all sessions")
    warm_wait_seconds: float = Field(5, gt=0, description="how long a warm may wait for its turn before it is shed")
    busy_gap_ms: float = Field(
        50, gt=0, description="how much warms may lengthen the gaps between the tokens of running answers"
    )
    idle_gap_ms: float = Field(
        150, gt=0, description="the same while no answer runs: how long one that comes then may have to wait"
    )
    shed_waiting_requests: int = Field(
        4, ge=1, description="warms are shed while so many requests wait in the engine; pre-generations at twice that"
    )
    shed_cache_usage: float = Field(
        0.9,
        gt=0,
        le=1,
        description="warms are shed while running requests hold this share of the cache; pre-generations at half of "
        "what is then left",
    )
    shed_after_preemption_seconds: float = Field(
        5, ge=0, description="warms and pre-generations are shed for so long after a running answer lost its blocks"
    )
    least_used_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="sessions and tenants of whose warmed tokens less is used are warmed less; 0: never",
    )
    assume_cached_seconds: float = Field(
        300, gt=0, description="how long a block that nobody used counts as cached where the engine does not tell"
    )
    touch_seconds: float = Field(
        120, ge=0, description="after how long a pause what a session holds is touched, so that it stays; 0: never"
    )
    touch_limit_seconds: float = Field(
        900, ge=0, description="how long a silent session's blocks are kept by touching them"
    )
    kv_events: bool = Field(
        True, description="follow what vLLM's cache stores and evicts, over a socket that only this user can open"
    )
    tenant_metadata_key: str = Field(
        "", description="request metadata in which a trusted proxy names the tenant; default: all are one tenant"
    )
    pregeneration: bool = Field(
        True, description="whether answers may be begun in typing pauses, held back until SUBMIT asks for exactly them"
    )
    pregeneration_pause_ms: float = Field(600, gt=0, description="how long a pause in typing must be for it")
    pregeneration_tokens: int = Field(64, ge=1, description="most tokens generated for one before SUBMIT")
    pregeneration_tries: int = Field(3, ge=1, description="most of them for one draft, from its first key to SUBMIT")
    pregeneration_seconds: float = Field(10, gt=0, description="how long one may run before SUBMIT")
    pregenerations_in_flight: int = Field(2, ge=0, description="most of them at once, over all sessions")
    max_sessions: int = Field(1000, ge=1, description="most sessions open at once; more are refused")
    max_draft_code_points: int = Field(65536, ge=1, description="longest draft, in Unicode code points")
    max_message_bytes: int = Field(4 * 1024 * 1024, ge=4096, description="largest message on the wire, in bytes")
    open_timeout_seconds: float = Field(
        30, gt=0, description="how long a new stream may wait before it sends Open; then it is ended"
    )
    write_timeout_seconds: float = Field(
        10, gt=0, description="how long one write may wait for a client that does not read before its stream is ended"
    )
    stop_grace_seconds: float = Field(10, ge=0, description="how long running answers may go on when the server stops")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severity that is logged")

    @model_validator(mode="after")
    def _check_engines(self) -> Self:
        if (self.engine == "remote") is not bool(self.engine_url):
            raise ValueError("--engine remote and --engine-url belong together")
        for url in self.engine_url:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
                raise ValueError("--engine-url takes http://HOST:PORT; credentials go into FOREFILL_ENGINE_API_KEY")
        if self.router and (len(self.engine_url) != 1 or self.data_parallel_size > 1):
            raise ValueError("--router is for one --engine-url, and knows nothing of --data-parallel-size")
        return self
