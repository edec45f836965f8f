"""The settings of a server by subject. Each is also a flag (`--port`) and an environment variable (`FOREFILL_PORT`)."""

from typing import Annotated, Any, Self, cast
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from .access import AccessSettings, LimitSettings
from .engines import EngineSettings, FakeSettings, HandOffSettings, RemoteSettings
from .group import Group
from .observability import ObservabilitySettings
from .serving import PregenerationSettings, ServerSettings, SessionSettings, WarmingSettings

__all__ = [
    "GROUPS",
    "AccessSettings",
    "EngineSettings",
    "FakeSettings",
    "Flags",
    "Group",
    "HandOffSettings",
    "LimitSettings",
    "ObservabilitySettings",
    "PregenerationSettings",
    "RemoteSettings",
    "ServerSettings",
    "SessionSettings",
    "Settings",
    "WarmingSettings",
]


class Settings(BaseModel):
    """The settings of one server. The defaults suit a trial on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: ServerSettings = Field(title="listening")
    access: AccessSettings = Field(title="access")
    engine: EngineSettings = Field(title="engine")
    remote: RemoteSettings = Field(title="remote servers")
    fake: FakeSettings = Field(title="fake engine")
    hand_off: HandOffSettings = Field(title="hand-off")
    warming: WarmingSettings = Field(title="warming")
    pregeneration: PregenerationSettings = Field(title="pre-generation")
    sessions: SessionSettings = Field(title="sessions")
    limits: LimitSettings = Field(title="limits")
    observability: ObservabilitySettings = Field(title="observability")

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
    def _check_traces(self) -> Self:
        endpoint = self.observability.otlp_endpoint
        if endpoint and not _is_address(endpoint):
            raise ValueError("--otlp-endpoint takes http://HOST:PORT; credentials go into OTEL_EXPORTER_OTLP_HEADERS")
        return self

    @model_validator(mode="after")
    def _check_hand_off(self) -> Self:
        hand_off = self.hand_off
        if not all(map(_is_address, hand_off.urls)):
            raise ValueError("--hand-off-url takes http://HOST:PORT; applications have credentials of their own")
        if hand_off.urls and len(hand_off.urls) != max(1, len(self.remote.urls)):
            raise ValueError("--hand-off-url takes one address for each --engine-url, in the same order")
        if hand_off.openai_port >= 0 and self.engine.kind != "embedded":
            raise ValueError("--openai-port needs --engine embedded; vLLM servers have an OpenAI API of their own")
        return self

    @model_validator(mode="after")
    def _check_access(self) -> Self:
        self.access.check_address(self.server.host)
        secret = self.access.cache_salt_secret.get_secret_value()
        if self.access.may_have_tenants and self.engine.kind == "remote" and not secret:
            raise ValueError(
                "tenants on remote engines need FOREFILL_CACHE_SALT_SECRET, the same for all copies of this server: it "
                "keeps their cache salts from being guessed"
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
