"""The settings of a server by subject. Each is also a flag (`--port`) and an environment variable (`FOREFILL_PORT`)."""

from typing import Annotated, Any, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict


class Group(BaseModel):
    """The settings of one subject. A field's alias is the name of its flag, if that is another.

    The class docstring is the group's description in `--help`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    @classmethod
    def by_flag(cls) -> dict[str, FieldInfo]:
        """Return the fields by the names of their flags, written with underscores."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


class ServerSettings(Group):
    """Addresses, messages and logs of this server."""

    host: str = Field(
        "127.0.0.1", description="address to listen on; clients are not authenticated yet, so keep it private"
    )
    port: int = Field(50051, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    metrics_port: int = Field(
        9464,
        ge=-1,
        le=65535,
        description="port for Prometheus metrics, on the address of --host; 0 picks a free one, -1 disables metrics",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="log messages of this severity and above"
    )
    max_message_bytes: int = Field(
        4 * 1024 * 1024, ge=4096, description="largest message to accept from a client, in bytes"
    )
    go_away_seconds: float = Field(
        3,
        ge=0,
        description="when the server stops, tell sessions (GoAway) so long before they end, so that clients can move "
        "to another server while their users go on typing",
    )
    stop_grace_seconds: float = Field(10, ge=0, description="after that, give running answers this long to finish")


class EngineSettings(Group):
    """The model, and the engine that runs it."""

    kind: Literal["embedded", "remote", "fake"] = Field(
        "embedded",
        alias="engine",
        description="embedded: this server starts vLLM; remote: vLLM servers that already run, see --engine-url; "
        "fake: no model, to try a client",
    )
    model: str = Field(
        "",
        description="model name or directory, as for vLLM (default: the packaged SmolLM2-135M); with --engine remote, "
        "name or directory of the tokenizer (default: what the server reports)",
    )
    chat_template: FilePath | None = Field(
        None, description="file with a chat template to use instead of the model's own"
    )
    context_tokens: int | None = Field(
        None, ge=64, description="longest prompt and answer together, in tokens (default: the model's limit)"
    )
    block_size: int | None = Field(
        None,
        ge=1,
        description="tokens in a cache block (default: 32 on a CPU, otherwise chosen by vLLM; with --engine remote, "
        "read from the server)",
    )
    cache_gib: float | None = Field(
        None,
        gt=0,
        description="memory for the KV cache of an embedded engine, in GiB (default: 1 on a CPU, otherwise chosen by "
        "vLLM)",
    )
    kv_events: bool = Field(
        True,
        description="follow what an embedded engine's cache stores and evicts, over a socket that only this user can "
        "open",
    )
    reasoning_parser: str = Field(
        "", description="parser of an embedded vLLM that splits off what the model thinks, by vLLM's name for it"
    )
    tool_call_parser: str = Field(
        "", description="parser of an embedded vLLM that splits off calls of tools, by vLLM's name for it"
    )
    adapters: dict[str, str] = Field(
        default_factory=dict,
        description="LoRA adapters that an embedded engine answers with if a client names one, as JSON: "
        '\'{"NAME": "DIRECTORY"}\'; servers at --engine-url have their own',
    )
    args: dict[str, Any] = Field(
        default_factory=dict,
        alias="engine_args",
        description="more engine arguments for an embedded vLLM, as JSON, for example '{\"tensor_parallel_size\": 2}'; "
        "they take precedence over other flags",
    )


class FakeSettings(Group):
    """With --engine fake: how it answers, to try a client against."""

    answer: str = Field(
        "", alias="fake_answer", description="text of every answer (default: made-up words that depend on the prompt)"
    )
    answer_tokens: int = Field(
        8, ge=1, alias="fake_answer_tokens", description="length of an answer that nothing ends earlier, in tokens"
    )
    decode_speed: float = Field(
        0, ge=0, alias="fake_decode_speed", description="tokens of an answer a second; 0 takes no time"
    )
    prefill_speed: float = Field(
        0, ge=0, alias="fake_prefill_speed", description="tokens of a prompt a second; 0 takes no time"
    )
    refuse_every: int = Field(0, ge=0, alias="fake_refuse_every", description="refuse every Nth answer; 0 refuses none")
    break_every: int = Field(
        0,
        ge=0,
        alias="fake_break_every",
        description="lose the engine in the middle of every Nth answer; 0 never loses it",
    )
    reasoning_tokens: int = Field(
        0, ge=0, alias="fake_reasoning_tokens", description="tokens of an answer, from its first on, that are reasoning"
    )


class RemoteSettings(Group):
    """With --engine remote: vLLM servers that already run, or their router."""

    urls: list[str] = Field(
        default_factory=list,
        alias="engine_url",
        description="vLLM servers of one model, or a router in front of them, separated by commas: "
        "http://HOST:PORT,http://HOST:PORT",
    )
    served_model: str = Field(
        "", description="name of the model to use, if the servers offer several (default: the first in their list)"
    )
    api_key: SecretStr = Field(
        SecretStr(""),
        alias="engine_api_key",
        description="API key for the servers; better set as FOREFILL_ENGINE_API_KEY, since others can read a command "
        "line",
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        alias="engine_headers",
        description="HTTP headers to add to every request to the servers, as JSON",
    )
    ca_file: FilePath | None = Field(
        None,
        alias="engine_ca_file",
        description="file with the certificates to trust for https:// servers (default: the system's)",
    )
    router: bool = Field(
        False,
        description="treat --engine-url as a router that sends requests with the same --affinity-header to the same "
        "server",
    )
    router_workers: int = Field(1, ge=1, description="number of servers behind the router")
    affinity: Literal["session", "prompt"] = Field(
        "session",
        description="session: keep each session on one server, the least loaded of a few when it opens; prompt: keep "
        "all sessions that open with the same messages on one server, unless it has more than its share of sessions",
    )
    affinity_header: str = Field(
        "X-Session-ID", description="HTTP header that shows a router which requests belong on the same server"
    )
    data_parallel_size: int = Field(
        1,
        ge=1,
        description="number of engines inside each server, as in its own --data-parallel-size; a session stays on one",
    )
    start_wait_seconds: float = Field(
        600, ge=0, alias="engine_wait_seconds", description="at start, wait this long for a first server to answer"
    )
    connect_timeout_seconds: float = Field(5, gt=0, description="longest wait for a connection to a server")
    first_token_timeout_seconds: float = Field(
        120, gt=0, description="longest wait for a server to send the first token of an answer"
    )
    token_timeout_seconds: float = Field(
        30, gt=0, description="longest wait for a server to send the next token of an answer"
    )
    warm_timeout_seconds: float = Field(10, gt=0, description="longest wait for a server to complete a warming request")
    probe_after_seconds: float = Field(
        5,
        gt=0,
        alias="probe_seconds",
        description="probe a server by a request for one token after it has been silent for this long",
    )
    probe_timeout_seconds: float = Field(
        5,
        gt=0,
        description="count a server as down if it leaves a probe unanswered for this long and shows no other sign of "
        "life",
    )
    retry_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of all generations that may be sent again, to another server, after they failed before the "
        "first token",
    )


class HandOffSettings(Group):
    """Let applications send their own requests to the engine, on warmed blocks."""

    urls: list[str] = Field(
        default_factory=list,
        alias="hand_off_url",
        description="address at which applications reach the engine's OpenAI API, to tell them; for several servers "
        "one each, in the order of --engine-url, separated by commas (default: the address of --openai-port; without "
        "either, every hand-off is refused)",
    )
    openai_port: int = Field(
        -1,
        ge=-1,
        le=65535,
        description="port for vLLM's own OpenAI API on an embedded engine, on the address of --host; 0 picks a free "
        "one, -1 disables it",
    )
    openai_args: dict[str, Any] = Field(
        default_factory=dict,
        description="more arguments of vLLM's API server for --openai-port, as JSON, for example "
        '\'{"allowed_origins": ["https://app.example"]}\'; an API key is better set as VLLM_API_KEY',
    )

    @property
    def offered(self) -> bool:
        """Whether applications can be told where the engine is."""
        return bool(self.urls) or self.openai_port >= 0


class WarmingSettings(Group):
    """Fill the prefix cache while users type."""

    piece_tokens: int = Field(
        2048,
        ge=1,
        alias="warm_piece_tokens",
        description="most new tokens in one warming request; a longer prompt is warmed in pieces",
    )
    even_piece_tokens: int = Field(
        128,
        ge=0,
        alias="warm_even_piece_tokens",
        description="while no answer runs, warm long prompts in pieces of at least this many tokens: in bfloat16 some "
        "engines round smaller pieces differently, which can change an answer; 0 for no preference",
    )
    in_flight: int = Field(
        4, ge=1, alias="warms_in_flight", description="most warming requests in an engine at once, over all sessions"
    )
    pause_ms: float = Field(
        600,
        gt=0,
        alias="warm_pause_ms",
        description="warm all of a draft after a typing pause of this length, in milliseconds",
    )
    wait_seconds: float = Field(
        5,
        gt=0,
        alias="warm_wait_seconds",
        description="give up on a warming request after it has waited this long for its turn",
    )
    busy_gap_ms: float = Field(
        50,
        gt=0,
        description="while answers run, how much longer warming may make the gaps between their tokens, in "
        "milliseconds; on average, if one cache block takes longer",
    )
    idle_gap_ms: float = Field(
        150,
        gt=0,
        description="while no answer runs, how long warming may make a new answer wait, in milliseconds; at least as "
        "long as one cache block takes",
    )
    shed_waiting_requests: int = Field(
        4,
        ge=1,
        description="stop warming while this many requests wait in the engine, and pre-generation at twice as many",
    )
    shed_cache_usage: float = Field(
        0.9,
        gt=0,
        le=1,
        description="stop warming while running requests hold this share of the cache, and pre-generation halfway from "
        "there to a full cache",
    )
    shed_after_preemption_seconds: float = Field(
        5,
        ge=0,
        description="stop warming and pre-generation for this long after a running answer has lost its cache blocks",
    )
    least_used_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="throttle warming for sessions and tenants that use less than this share of what was warmed for "
        "them; 0 disables",
    )
    assume_cached_seconds: float = Field(
        300,
        gt=0,
        description="if the engine does not report evictions, assume that a block stays cached this long after its "
        "last use",
    )
    touch_seconds: float = Field(
        120,
        ge=0,
        description="use a session's cached blocks again after it has been silent for this long, to keep them from "
        "being evicted; 0 disables",
    )
    touch_limit_seconds: float = Field(
        900, ge=0, description="stop keeping a session's blocks cached after it has been silent for this long"
    )


class PregenerationSettings(Group):
    """Begin the answer while the user is silent and hold it back until SUBMIT."""

    enabled: bool = Field(
        True,
        alias="pregeneration",
        description="begin answers when the user seems to be done, and hold them back until SUBMIT asks for exactly "
        "that draft",
    )
    waste: float = Field(
        0.25,
        ge=0,
        alias="pregeneration_waste",
        description="engine time that begun answers may waste, as a share of the engine time that answers take; for "
        "each session, each tenant and the server",
    )
    final_characters: str = Field(
        "",
        description="characters that often end a message (default: .?! and their like in other scripts); what users "
        "really do is learnt as they type",
    )
    tokens: int = Field(
        64, ge=1, alias="pregeneration_tokens", description="most tokens to generate of an answer before SUBMIT"
    )
    seconds: float = Field(
        10, gt=0, alias="pregeneration_seconds", description="longest time to generate an answer before SUBMIT"
    )
    in_flight: int = Field(
        4,
        ge=0,
        alias="pregenerations_in_flight",
        description="most answers that an engine generates at once before their SUBMIT, over all sessions; 0 disables",
    )


class SessionSettings(Group):
    """Limits of a session, and the tenant that it belongs to."""

    max_open: int = Field(1000, ge=1, alias="max_sessions", description="most sessions open at once; more are refused")
    max_draft_code_points: int = Field(65536, ge=1, description="longest draft, in Unicode code points")
    open_timeout_seconds: float = Field(
        30, gt=0, description="end a new stream if it does not send Open within this time"
    )
    write_timeout_seconds: float = Field(
        10, gt=0, description="end a stream if its client leaves a message unread for this long"
    )
    tenant_metadata_key: str = Field(
        "",
        description="gRPC metadata key in which a trusted proxy names the tenant (default: one tenant for all)",
    )
    cache_salt_secret: SecretStr = Field(
        SecretStr(""),
        description="secret that goes into the cache salts of tenants, so that nobody can guess one; the same for all "
        "copies of this server; better set as FOREFILL_CACHE_SALT_SECRET",
    )


class Settings(BaseModel):
    """The settings of one server. The defaults suit a trial on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: ServerSettings = Field(title="listening")
    engine: EngineSettings = Field(title="engine")
    remote: RemoteSettings = Field(title="remote servers")
    fake: FakeSettings = Field(title="fake engine")
    hand_off: HandOffSettings = Field(title="hand-off")
    warming: WarmingSettings = Field(title="warming")
    pregeneration: PregenerationSettings = Field(title="pre-generation")
    sessions: SessionSettings = Field(title="sessions")

    def __init__(self, **values: Any) -> None:
        """Take values by the names of their flags (`warm_pause_ms=300`), and groups (`sessions=…`).

        What is not given comes from the environment, or is the default; a group that is given ignores the environment.
        Raises ValidationError for an unknown name or a bad value.
        """
        given = {name: value for name, value in values.items() if isinstance(value, Group)}
        flags = Flags(**{name: value for name, value in values.items() if name not in given})
        groups = {
            name: group(**{flag: getattr(flags, flag) for flag in group.by_flag()}) for name, group in GROUPS.items()
        }
        super().__init__(**groups | given)

    @model_validator(mode="after")
    def _check_engines(self) -> Self:
        engine, remote = self.engine, self.remote
        if (engine.kind == "remote") is not bool(remote.urls):
            raise ValueError("--engine remote and --engine-url belong together")
        if engine.adapters and engine.kind == "remote":
            raise ValueError("--adapters are those of an embedded engine; start the servers with --lora-modules")
        if not all(map(_is_address, remote.urls)):
            raise ValueError("--engine-url takes http://HOST:PORT; credentials go into FOREFILL_ENGINE_API_KEY")
        if remote.router and (len(remote.urls) != 1 or remote.data_parallel_size > 1):
            raise ValueError("--router takes one --engine-url, and cannot be used with --data-parallel-size")
        return self

    @model_validator(mode="after")
    def _check_hand_off(self) -> Self:
        hand_off, sessions = self.hand_off, self.sessions
        if not all(map(_is_address, hand_off.urls)):
            raise ValueError("--hand-off-url takes http://HOST:PORT; applications have credentials of their own")
        if hand_off.urls and len(hand_off.urls) != max(1, len(self.remote.urls)):
            raise ValueError("--hand-off-url takes one address for each --engine-url, in the same order")
        if hand_off.openai_port >= 0 and self.engine.kind != "embedded":
            raise ValueError("--openai-port needs --engine embedded; vLLM servers have an OpenAI API of their own")
        if hand_off.offered and sessions.tenant_metadata_key and not sessions.cache_salt_secret.get_secret_value():
            raise ValueError(
                "hand-off between tenants needs FOREFILL_CACHE_SALT_SECRET; without it, whoever knows the name of a "
                "tenant could name its cache salt to the engine"
            )
        return self


def _is_address(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not (parts.username or parts.password)


GROUPS = {name: cast("type[Group]", field.annotation) for name, field in Settings.model_fields.items()}


class _Environment(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="FOREFILL_", extra="forbid", frozen=True)


def _definition(field: FieldInfo) -> tuple[Any, Any]:
    described = Field(description=field.description)
    default = field.get_default(call_default_factory=True)
    return Annotated[(field.annotation, *field.metadata, described)], default


_DEFINITIONS: dict[str, Any] = {
    flag: _definition(field) for group in GROUPS.values() for flag, field in group.by_flag().items()
}

#: The fields of all groups side by side, as the command line and the environment name them.
Flags = create_model("Flags", __base__=_Environment, **_DEFINITIONS)
