"""The settings of one server by subject; each is a flag (`--port`) and an environment variable (`FOREFILL_PORT`)."""

from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict


class Group(BaseModel):
    """The settings of one subject. A field whose flat name (the flag's) is another has it as its alias."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    @classmethod
    def flat(cls) -> dict[str, FieldInfo]:
        """Return the fields by flat name."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


class ServerSettings(Group):
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
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severity that is logged")

    stop_grace_seconds: float = Field(10, ge=0, description="how long running answers may go on when the server stops")
    max_message_bytes: int = Field(4 * 1024 * 1024, ge=4096, description="largest message on the wire, in bytes")


class EngineSettings(Group):
    kind: Literal["embedded", "remote", "fake"] = Field(
        "embedded",
        alias="engine",
        description="what runs the model: vLLM in this process's charge, vLLM servers that are there already, or a "
        "fake without a model",
    )
    model: str = Field(
        "",
        description="name or directory of a model, as vLLM takes it; default: the packaged SmolLM2-135M; with remote "
        "engines, where its tokenizer is: default as their server names it",
    )
    context_tokens: int | None = Field(
        None, ge=64, description="longest prompt and answer together, in tokens; default: the model's own"
    )
    block_size: int | None = Field(
        None, ge=1, description="tokens of a cache block; default: 32 on a CPU, else as vLLM chooses"
    )
    cache_gib: float | None = Field(
        None, gt=0, description="memory for cached blocks, in GiB; default: 1 on a CPU, else as vLLM chooses"
    )
    chat_template: FilePath | None = Field(
        None, description="file with a chat template to use in place of the model's own"
    )
    kv_events: bool = Field(
        True, description="follow what vLLM's cache stores and evicts, over a socket that only this user can open"
    )
    args: dict[str, Any] = Field(
        default_factory=dict,
        alias="engine_args",
        description="more of vLLM's engine arguments as JSON, for example '{\"tensor_parallel_size\": 2}'; they win",
    )


class RemoteSettings(Group):
    urls: list[str] = Field(
        default_factory=list,
        alias="engine_url",
        description="vLLM servers of one model, or a router in front of them: http://HOST:PORT,http://HOST:PORT",
    )
    served_model: str = Field("", description="which of the models that the servers serve; default: the first")
    api_key: SecretStr = Field(
        SecretStr(""),
        alias="engine_api_key",
        description="API key of the servers; better set by FOREFILL_ENGINE_API_KEY",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, alias="engine_headers", description="more headers of each request to the servers, as JSON"
    )
    ca_file: FilePath | None = Field(
        None, alias="engine_ca_file", description="certificates to trust for https:// servers; default: the system's"
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
    start_wait_seconds: float = Field(
        600,
        ge=0,
        alias="engine_wait_seconds",
        description="how long to wait at the start until one of the servers answers",
    )
    connect_timeout_seconds: float = Field(5, gt=0, description="how long a connection to a server may take")
    first_token_timeout_seconds: float = Field(
        120, gt=0, description="how long a server may take for the first token of an answer"
    )
    token_timeout_seconds: float = Field(30, gt=0, description="how long it may take from one token to the next")
    warm_timeout_seconds: float = Field(10, gt=0, description="how long it may take for a warm")
    probe_after_seconds: float = Field(
        5,
        gt=0,
        alias="probe_seconds",
        description="after how long a silence a server is probed by a request of one token",
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


class WarmingSettings(Group):
    piece_tokens: int = Field(
        2048,
        ge=1,
        alias="warm_piece_tokens",
        description="most new tokens of one warm: a long prompt is warmed in pieces of whole blocks",
    )
    in_flight: int = Field(
        4, ge=1, alias="warms_in_flight", description="most warms in the engine at once, over all sessions"
    )
    wait_seconds: float = Field(
        5, gt=0, alias="warm_wait_seconds", description="how long a warm may wait for its turn before it is shed"
    )
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


class PregenerationSettings(Group):
    enabled: bool = Field(
        True,
        alias="pregeneration",
        description="whether answers may be begun in typing pauses, held back until SUBMIT asks for exactly them",
    )
    pause_ms: float = Field(
        600, gt=0, alias="pregeneration_pause_ms", description="how long a pause in typing must be for it"
    )
    tokens: int = Field(
        64, ge=1, alias="pregeneration_tokens", description="most tokens generated for one before SUBMIT"
    )
    tries: int = Field(
        3, ge=1, alias="pregeneration_tries", description="most of them for one draft, from its first key to SUBMIT"
    )
    seconds: float = Field(10, gt=0, alias="pregeneration_seconds", description="how long one may run before SUBMIT")
    in_flight: int = Field(
        2, ge=0, alias="pregenerations_in_flight", description="most of them at once, over all sessions"
    )


class SessionSettings(Group):
    max_open: int = Field(1000, ge=1, alias="max_sessions", description="most sessions open at once; more are refused")
    max_draft_code_points: int = Field(65536, ge=1, description="longest draft, in Unicode code points")
    open_timeout_seconds: float = Field(
        30, gt=0, description="how long a new stream may wait before it sends Open; then it is ended"
    )
    write_timeout_seconds: float = Field(
        10, gt=0, description="how long one write may wait for a client that does not read before its stream is ended"
    )
    tenant_metadata_key: str = Field(
        "", description="request metadata in which a trusted proxy names the tenant; default: all are one tenant"
    )


class Settings(BaseModel):
    """The settings of one server; every one has a default that suits a trial on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: ServerSettings
    engine: EngineSettings
    remote: RemoteSettings
    warming: WarmingSettings
    pregeneration: PregenerationSettings
    sessions: SessionSettings

    def __init__(self, **values: Any) -> None:
        """Take flat names (`pregeneration_pause_ms=300`) and whole groups (`warming=WarmingSettings(…)`).

        The environment gives what is not named; a group that is given whole is not read from it.
        Raises ValidationError for an unknown name or a bad value.
        """
        whole = {name: value for name, value in values.items() if isinstance(value, Group)}
        flat = Flags(**{name: value for name, value in values.items() if name not in whole})
        groups = {
            name: group(**{flat_name: getattr(flat, flat_name) for flat_name in group.flat()})
            for name, group in GROUPS.items()
        }
        super().__init__(**groups | whole)

    @model_validator(mode="after")
    def _check_engines(self) -> Self:
        engine, remote = self.engine, self.remote
        if (engine.kind == "remote") is not bool(remote.urls):
            raise ValueError("--engine remote and --engine-url belong together")
        for url in remote.urls:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
                raise ValueError("--engine-url takes http://HOST:PORT; credentials go into FOREFILL_ENGINE_API_KEY")
        if remote.router and (len(remote.urls) != 1 or remote.data_parallel_size > 1):
            raise ValueError("--router is for one --engine-url, and knows nothing of --data-parallel-size")
        return self


GROUPS = {name: cast("type[Group]", field.annotation) for name, field in Settings.model_fields.items()}


class _FromEnvironment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="FOREFILL_", extra="forbid", frozen=True)


def _flag(field: FieldInfo) -> tuple[Any, Any]:
    described = Field(description=field.description)
    default = field.get_default(call_default_factory=True)
    return Annotated[(field.annotation, *field.metadata, described)], default


_FLAGS: dict[str, Any] = {name: _flag(field) for group in GROUPS.values() for name, field in group.flat().items()}

#: All settings side by side, by flat name: as the command line and the environment have them.
Flags = create_model("Flags", __base__=_FromEnvironment, **_FLAGS)
