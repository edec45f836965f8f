#!/usr/bin/env python3
"""The part of the chart's values.schema.json that lists the server's settings, made from the settings themselves."""

# ruff: noqa: T201 - it talks to people
import argparse
import json
from pathlib import Path
from typing import Any

from forefill_service.settings import Flags

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = "deploy/helm/forefill/values.schema.json"

SET_BY_CHART = {
    "cache_salt_secret": "access.cacheSaltSecret",
    "callers": "access.callers",
    "engine": "engine.kind",
    "engine_api_key": "access.engineApiKey",
    "engine_url": "engine.urls",
    "engine_wait_seconds": "probes.startupSeconds",
    "go_away_seconds": "drain.goAwaySeconds",
    "health_host": "",
    "health_port": "",
    "host": "",
    "insecure": "access.insecure",
    "jwt_audience": "access.jwt.audience",
    "jwt_issuer": "access.jwt.issuer",
    "jwt_keys": "access.jwt.keys",
    "jwt_scope_prefix": "access.jwt.scopePrefix",
    "jwt_tenant_claim": "access.jwt.tenantClaim",
    "metrics_port": "",
    "model": "engine.model",
    "port": "",
    "router": "engine.router.enabled",
    "router_workers": "engine.router.workers",
    "stop_grace_seconds": "drain.stopGraceSeconds",
    "tenant_metadata_key": "access.tenantMetadataKey",
    "tls_cert": "access.tls.secretName",
    "tls_client_ca": "access.tls.clientCa",
    "tls_key": "access.tls.secretName",
}
"""Settings that are not under `settings`, by the value that sets them; "" for addresses and ports in the pod."""

_KEPT = ("type", "enum", "items", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "additionalProperties")


def settings_schema() -> dict[str, Any]:
    """Return the schema of `settings`: each by the name of its flag, with type and bounds."""
    flags = Flags.model_json_schema()["properties"]
    return {
        "type": "object",
        "description": "Flags of forefill-server, with underscores.",
        "additionalProperties": False,
        "properties": {name: _value(flags[name]) for name in sorted(flags.keys() - SET_BY_CHART.keys())},
    }


def _value(flag: dict[str, Any]) -> dict[str, Any]:
    # A value that is not set is left out, so none has to be null.
    [of_type] = [choice for choice in flag.get("anyOf", [flag]) if choice["type"] != "null"]
    kept = {key: of_type[key] for key in _KEPT if key in of_type}
    return kept | {"description": flag["description"]}


def written_into(schema: str) -> str:
    """Return the chart's schema with the settings as they are now; the rest of it is written by hand."""
    values = json.loads(schema)
    values["properties"]["settings"] = settings_schema()
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the schema, or say whether it is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the schema instead of comparing it")
    path, write = ROOT / SCHEMA, parser.parse_args().write
    new = written_into(path.read_text())
    if write:
        path.write_text(new)
    elif new != path.read_text():
        print(f"{SCHEMA} is out of date: run make chart")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
