"""The settings: their flags and environment names, which operators rely on, and how they are constructed."""

from operator import attrgetter
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from forefill_service.cli import parsed
from forefill_service.settings import GROUPS, Flags, PregenerationSettings, Settings, WarmingSettings
from pydantic import BaseModel, FilePath, SecretStr, ValidationError


class Row(NamedTuple):
    """One setting, with another value than the default: as text, and as it is read."""

    flag: str
    attribute: str
    type: Any
    default: Any
    text: str
    value: Any


# fmt: off
ROWS = [Row(*row) for row in [
    ("host", "server.host", str, "127.0.0.1", "::1", "::1"),
    ("port", "server.port", int, 50051, "8080", 8080),
    ("max_message_bytes", "server.max_message_bytes", int, 1024 * 1024, "8192", 8192),
    ("max_connections", "server.max_connections", int, 0, "7", 7),
    ("silent_client_seconds", "server.silent_client_seconds", float, 40, "8", 8),
    ("go_away_seconds", "server.go_away_seconds", float, 3, "0", 0),
    ("stop_grace_seconds", "server.stop_grace_seconds", float, 10, "0", 0),
    ("insecure", "access.insecure", bool, False, "true", True),
    ("tls_cert", "access.tls_cert", Path | None, None, __file__, Path(__file__)),
    ("tls_key", "access.tls_key", Path | None, None, __file__, Path(__file__)),
    ("tls_client_ca", "access.tls_client_ca", Path | None, None, __file__, Path(__file__)),
    ("callers", "access.callers", Path | None, None, __file__, Path(__file__)),
    ("jwt_keys", "access.jwt_keys", str, "", "https://a", "https://a"),
    ("jwt_issuer", "access.jwt_issuer", str, "", "https://a", "https://a"),
    ("jwt_audience", "access.jwt_audience", str, "", "forefill", "forefill"),
    ("jwt_tenant_claim", "access.jwt_tenant_claim", str, "", "org", "org"),
    ("jwt_scope_prefix", "access.jwt_scope_prefix", str, "", "forefill.", "forefill."),
    ("tenant_metadata_key", "access.tenant_metadata_key", str, "", "x-tenant", "x-tenant"),
    ("cache_salt_secret", "access.cache_salt_secret", SecretStr, SecretStr(""), "secret", SecretStr("secret")),
    ("cache_scope", "access.cache_scope", Literal["shared", "session"], "shared", "session", "session"),
    ("reflection", "access.reflection", bool, True, "false", False),
    ("engine", "engine.kind", Literal["embedded", "remote", "fake"], "embedded", "fake", "fake"),
    ("model", "engine.model", str, "", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
    ("chat_template", "engine.chat_template", FilePath | None, None, __file__, Path(__file__)),
    ("context_tokens", "engine.context_tokens", int | None, None, "4096", 4096),
    ("block_size", "engine.block_size", int | None, None, "16", 16),
    ("cache_gib", "engine.cache_gib", float | None, None, "0.5", 0.5),
    ("kv_events", "engine.kv_events", bool, True, "false", False),
    ("reasoning_parser", "engine.reasoning_parser", str, "", "qwen3", "qwen3"),
    ("tool_call_parser", "engine.tool_call_parser", str, "", "hermes", "hermes"),
    ("exclude_forbidden_tools", "engine.exclude_forbidden_tools", bool, False, "true", True),
    ("adapters", "engine.adapters", dict[str, str], {}, '{"sql": "/a"}', {"sql": "/a"}),
    ("engine_args", "engine.args", dict[str, Any], {}, '{"seed": 1}', {"seed": 1}),
    ("engine_url", "remote.urls", list[str], [], '["http://a"]', ["http://a"]),
    ("served_model", "remote.served_model", str, "", "small", "small"),
    ("engine_api_key", "remote.api_key", SecretStr, SecretStr(""), "secret", SecretStr("secret")),
    ("engine_headers", "remote.headers", dict[str, str], {}, '{"a": "b"}', {"a": "b"}),
    ("engine_ca_file", "remote.ca_file", FilePath | None, None, __file__, Path(__file__)),
    ("router", "remote.router", bool, False, "true", True),
    ("router_workers", "remote.router_workers", int, 1, "2", 2),
    ("affinity", "remote.affinity", Literal["session", "prompt"], "session", "prompt", "prompt"),
    ("affinity_header", "remote.affinity_header", str, "X-Session-ID", "x-user-id", "x-user-id"),
    ("data_parallel_size", "remote.data_parallel_size", int, 1, "2", 2),
    ("engine_wait_seconds", "remote.start_wait_seconds", float, 600, "7.5", 7.5),
    ("connect_timeout_seconds", "remote.connect_timeout_seconds", float, 5, "7.5", 7.5),
    ("first_token_timeout_seconds", "remote.first_token_timeout_seconds", float, 120, "7.5", 7.5),
    ("token_timeout_seconds", "remote.token_timeout_seconds", float, 30, "7.5", 7.5),
    ("warm_timeout_seconds", "remote.warm_timeout_seconds", float, 10, "7.5", 7.5),
    ("probe_seconds", "remote.probe_after_seconds", float, 5, "7.5", 7.5),
    ("probe_timeout_seconds", "remote.probe_timeout_seconds", float, 5, "7.5", 7.5),
    ("retry_share", "remote.retry_share", float, 0.1, "0", 0),
    ("fake_answer", "fake.answer", str, "", "SELECT 1", "SELECT 1"),
    ("fake_answer_tokens", "fake.answer_tokens", int, 8, "7", 7),
    ("fake_decode_speed", "fake.decode_speed", float, 0, "7.5", 7.5),
    ("fake_prefill_speed", "fake.prefill_speed", float, 0, "7.5", 7.5),
    ("fake_refuse_every", "fake.refuse_every", int, 0, "7", 7),
    ("fake_break_every", "fake.break_every", int, 0, "7", 7),
    ("fake_reasoning_tokens", "fake.reasoning_tokens", int, 0, "7", 7),
    ("hand_off_url", "hand_off.urls", list[str], [], '["http://a"]', ["http://a"]),
    ("openai_port", "hand_off.openai_port", int, -1, "8000", 8000),
    ("openai_args", "hand_off.openai_args", dict[str, Any], {}, '{"seed": 1}', {"seed": 1}),
    ("warm_piece_tokens", "warming.piece_tokens", int, 2048, "7", 7),
    ("warm_even_piece_tokens", "warming.even_piece_tokens", int, 128, "7", 7),
    ("warms_in_flight", "warming.in_flight", int, 4, "7", 7),
    ("warm_pause_ms", "warming.pause_ms", float, 600, "7.5", 7.5),
    ("warm_wait_seconds", "warming.wait_seconds", float, 5, "7.5", 7.5),
    ("busy_gap_ms", "warming.busy_gap_ms", float, 50, "7.5", 7.5),
    ("idle_gap_ms", "warming.idle_gap_ms", float, 150, "7.5", 7.5),
    ("shed_waiting_requests", "warming.shed_waiting_requests", int, 4, "7", 7),
    ("shed_cache_usage", "warming.shed_cache_usage", float, 0.9, "0.5", 0.5),
    ("shed_after_preemption_seconds", "warming.shed_after_preemption_seconds", float, 5, "7.5", 7.5),
    ("least_used_share", "warming.least_used_share", float, 0.2, "0", 0),
    ("assume_cached_seconds", "warming.assume_cached_seconds", float, 300, "7.5", 7.5),
    ("touch_seconds", "warming.touch_seconds", float, 120, "7.5", 7.5),
    ("touch_limit_seconds", "warming.touch_limit_seconds", float, 900, "7.5", 7.5),
    ("pregeneration", "pregeneration.enabled", bool, True, "false", False),
    ("pregeneration_waste", "pregeneration.waste", float, 0.25, "0.5", 0.5),
    ("final_characters", "pregeneration.final_characters", str, "", ";", ";"),
    ("pregeneration_tokens", "pregeneration.tokens", int, 64, "7", 7),
    ("pregeneration_seconds", "pregeneration.seconds", float, 10, "7.5", 7.5),
    ("pregenerations_in_flight", "pregeneration.in_flight", int, 4, "7", 7),
    ("max_sessions", "sessions.max_open", int, 1000, "7", 7),
    ("max_draft_code_points", "sessions.max_draft_code_points", int, 65536, "7", 7),
    ("open_bytes_per_token", "sessions.open_bytes_per_token", int, 16, "7", 7),
    ("open_timeout_seconds", "sessions.open_timeout_seconds", float, 30, "7.5", 7.5),
    ("write_timeout_seconds", "sessions.write_timeout_seconds", float, 10, "7.5", 7.5),
    ("sessions_per_caller", "limits.sessions_per_caller", int, 0, "7", 7),
    ("opens_per_second", "limits.opens_per_second", float, 50, "7.5", 7.5),
    ("events_per_second", "limits.events_per_second", float, 500, "7.5", 7.5),
    ("events_per_second_per_caller", "limits.events_per_second_per_caller", float, 5000, "7.5", 7.5),
    ("answers_per_caller", "limits.answers_per_caller", int, 64, "7", 7),
    ("tokens_per_minute", "limits.tokens_per_minute", int, 0, "7", 7),
    ("session_idle_seconds", "limits.idle_seconds", float, 3600, "7.5", 7.5),
    ("session_age_seconds", "limits.age_seconds", float, 86400, "7.5", 7.5),
    ("health_port", "observability.health_port", int, 9465, "-1", -1),
    ("health_host", "observability.health_host", str, "", "10.0.0.7", "10.0.0.7"),
    ("metrics_port", "observability.metrics_port", int, 9464, "-1", -1),
    ("log_level", "observability.log_level", Literal["debug", "info", "warning", "error"], "info", "debug", "debug"),
    ("log_format", "observability.log_format", Literal["human", "json"], "human", "json", "json"),
    ("otlp_endpoint", "observability.otlp_endpoint", str, "", "http://a:4318", "http://a:4318"),
]]
# fmt: on

NEEDED = {
    "engine_url": {"engine": "remote"},
    "router": {"engine": "remote", "engine_url": '["http://a"]'},
    "tls_cert": {"tls_key": __file__},
    "tls_key": {"tls_cert": __file__},
    "tls_client_ca": {"tls_cert": __file__, "tls_key": __file__},
    "jwt_keys": {"jwt_issuer": "https://a", "jwt_audience": "forefill"},
    "tenant_metadata_key": {"insecure": "true"},
}
"""Other flags without which one makes no sense."""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the tests of this repository set for all servers."""
    monkeypatch.delenv("FOREFILL_HEALTH_PORT")


def read(settings: Settings, row: Row) -> Any:
    return attrgetter(row.attribute)(settings)


def test_each_flag_has_its_place_its_type_and_its_default() -> None:
    fields = [
        (flag, f"{name}.{attribute}", field.annotation, field.get_default(call_default_factory=True))
        for name, group in GROUPS.items()
        for attribute, (flag, field) in zip(group.model_fields, group.by_flag().items(), strict=True)
    ]
    assert fields == [row[:4] for row in ROWS]
    assert list(Flags.model_fields) == [row.flag for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=[row.flag for row in ROWS])
def test_each_has_its_environment_variable(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(Settings(), row) == row.default
    for flag, text in {**NEEDED.get(row.flag, {}), row.flag: row.text}.items():
        monkeypatch.setenv(f"FOREFILL_{flag.upper()}", text)
    assert read(Settings(), row) == row.value != row.default


@pytest.mark.parametrize("row", ROWS, ids=[row.flag for row in ROWS])
def test_each_has_its_flag(row: Row) -> None:
    needed = [
        f"--{flag.replace('_', '-')}={text}".removesuffix("=true") for flag, text in NEEDED.get(row.flag, {}).items()
    ]
    name = row.flag.replace("_", "-")
    flag = (f"--{name}" if row.value else f"--no-{name}") if row.type is bool else f"--{name}={row.text}"
    arguments = [*needed, flag]
    assert read(parsed(arguments), row) == row.value


def test_a_flag_beats_the_environment_and_the_environment_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREFILL_PORT", "1")
    monkeypatch.setenv("FOREFILL_METRICS_PORT", "2")
    settings = parsed(["--port", "3"])
    assert (settings.server.port, settings.observability.metrics_port) == (3, 2)
    assert settings.server.host == "127.0.0.1"


def test_several_servers_are_separated_by_commas() -> None:
    assert parsed(["--engine=remote", "--engine-url=http://a,http://b"]).remote.urls == ["http://a", "http://b"]


def test_flat_names_go_to_their_groups() -> None:
    settings = Settings(port=0, pregeneration=False, pregeneration_waste=0.5, busy_gap_ms=5)
    assert settings.server.port == 0
    assert settings.pregeneration == PregenerationSettings(enabled=False, waste=0.5)
    assert settings.warming == WarmingSettings(busy_gap_ms=5)
    assert settings.sessions == Settings().sessions


def test_a_group_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREFILL_BUSY_GAP_MS", "7")
    monkeypatch.setenv("FOREFILL_PORT", "1")
    settings = Settings(warming=WarmingSettings(idle_gap_ms=20))
    assert settings.warming == WarmingSettings(idle_gap_ms=20)
    assert settings.server.port == 1


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"no_such_flag": 1}, "no_such_flag"),
        ({"pause_ms": 1}, "pause_ms"),
        ({"FOREFILL_PORT": 1}, "FOREFILL_PORT"),
        ({"warmings": WarmingSettings()}, "warmings"),
        ({"warming": PregenerationSettings()}, "warming"),
        ({"port": -1}, "port"),
        ({"port": "many"}, "port"),
    ],
)
def test_an_unknown_name_or_a_bad_value_is_refused(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**wrong)
    assert [error["loc"] for error in refused.value.errors()] == [(named,)]


def test_a_group_refuses_an_unknown_name() -> None:
    with pytest.raises(ValidationError, match="no_such_field"):
        WarmingSettings(no_such_field=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("part", [Settings(), *(group() for group in GROUPS.values())], ids=lambda part: type(part))
def test_nothing_can_be_changed(part: BaseModel) -> None:
    for name in type(part).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(part, name, getattr(part, name))
