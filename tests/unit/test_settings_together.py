"""Settings that need each other, or cannot stand beside each other: an operator is told before a server starts."""

import pytest
from forefill_service.settings import Settings

WHOLE = {"tls_cert": __file__, "tls_key": __file__, "callers": __file__}
"""What a server needs that everybody can reach."""


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"engine": "remote"}, "belong together"),
        ({"engine": "remote", "engine_url": ["10.0.0.7:8000"]}, "http://HOST:PORT"),
        ({"engine": "remote", "engine_url": ["http://me:secret@host"]}, "FOREFILL_ENGINE_API_KEY"),
        ({"engine_url": ["http://a"]}, "belong together"),
        ({"engine": "remote", "engine_url": ["http://a"], "adapters": {"sql": "/a"}}, "--lora-modules"),
        ({"engine": "remote", "engine_url": ["http://a", "http://b"], "router": True}, "one --engine-url"),
        (
            {"engine": "remote", "engine_url": ["http://a"], "router": True, "data_parallel_size": 2},
            "cannot be used with --data-parallel-size",
        ),
        ({"hand_off_url": ["10.0.0.7:8000"]}, "http://HOST:PORT"),
        ({"hand_off_url": ["http://me:secret@host"]}, "credentials of their own"),
        ({"hand_off_url": ["http://a", "http://b"]}, "one address for each"),
        (
            {"engine": "remote", "engine_url": ["http://a", "http://b"], "hand_off_url": ["http://c"]},
            "one address for each",
        ),
        ({"otlp_endpoint": "collector:4318"}, "http://HOST:PORT"),
        ({"otlp_endpoint": "http://me:secret@host"}, "OTEL_EXPORTER_OTLP_HEADERS"),
        ({"engine": "fake", "openai_port": 0}, "--engine embedded"),
        ({"engine": "remote", "engine_url": ["http://a"], "callers": __file__}, "FOREFILL_CACHE_SALT_SECRET"),
        (
            {"engine": "remote", "engine_url": ["http://a"], "insecure": True, "tenant_metadata_key": "x-tenant"},
            "FOREFILL_CACHE_SALT_SECRET",
        ),
        ({"host": "0.0.0.0"}, "needs TLS .* and credentials .* or --insecure"),  # noqa: S104
        ({"host": "example.org", "callers": __file__}, "needs TLS"),
        ({"host": "::", "tls_cert": __file__, "tls_key": __file__}, "needs credentials"),
        ({"host": "10.0.0.7", "openai_port": 0}, "needs TLS .* and credentials .* or --insecure"),
        ({"tls_cert": __file__}, "belong together"),
        ({"tls_client_ca": __file__}, "needs --tls-cert"),
        ({"jwt_keys": "keys.json"}, "needs --jwt-issuer"),
        ({"jwt_keys": "http://a", "jwt_issuer": "a", "jwt_audience": "b"}, "https://"),
        ({"tenant_metadata_key": "x-tenant"}, "--callers, or say --insecure"),
        ({"tenant_metadata_key": "X-Tenant", "insecure": True}, "lower case"),
    ],
)
def test_settings_that_make_no_sense_together_are_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Settings(**wrong)


@pytest.mark.parametrize(
    "enough",
    [
        {"host": "127.0.0.1"},
        {"host": "127.8.9.10"},
        {"host": "::1"},
        {"host": "[::1]"},
        {"host": "localhost"},
        {"host": "0.0.0.0", "insecure": True},  # noqa: S104
        {"host": "0.0.0.0", **WHOLE},  # noqa: S104
        {"host": "10.0.0.7", "openai_port": 8000, **WHOLE},
        {"host": "0.0.0.0", "tls_cert": __file__, "tls_key": __file__, "tls_client_ca": __file__},  # noqa: S104
    ],
)
def test_an_address_needs_what_its_reach_asks_for(enough: dict[str, object]) -> None:
    assert Settings(**enough).server.host == enough["host"]
