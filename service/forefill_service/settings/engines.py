"""Settings of the engine, wherever it runs, and of what reaches it beside forefill."""

from typing import Any, Literal

from pydantic import Field, FilePath, SecretStr

from .group import Group


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
    exclude_forbidden_tools: bool = Field(
        False,
        description="leave tools out of the prompts of an embedded vLLM if the session allows no call of them: vLLM's "
        "exclude_tools_when_tool_choice_none",
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
        "one each, in the order of --engine-url, separated by commas (default: the address of --openai-port, unless "
        "--host stands for all addresses; without either, every hand-off is refused)",
    )
    openai_port: int = Field(
        -1,
        ge=-1,
        le=65535,
        description="port for vLLM's own OpenAI API on an embedded engine, on the address of --host, with TLS and "
        "credentials as streams; 0 picks a free one, -1 disables it",
    )
    openai_args: dict[str, Any] = Field(
        default_factory=dict,
        description="more arguments of vLLM's API server for --openai-port, as JSON, for example "
        '\'{"allowed_origins": ["https://app.example"]}\'; an API key, for a server without callers, is better set as '
        "VLLM_API_KEY",
    )

    @property
    def offered(self) -> bool:
        """Whether applications can be told where the engine is."""
        return bool(self.urls) or self.openai_port >= 0
