"""The schema of the chart's values lists the server's settings as they are, and nothing that the chart sets itself."""

import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from forefill_service.cli import main
from forefill_service.settings import Flags

from deploy.dev import chart_schema
from deploy.dev.chart_schema import SET_BY_CHART, settings_schema, written_into

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/helm/forefill"
FREE = {"settings", "global"}
"""Parts of the values that the chart's own comments do not list one by one."""


def schema() -> dict[str, Any]:
    return dict(json.loads((ROOT / chart_schema.SCHEMA).read_text()))


def values() -> dict[str, Any]:
    return dict(yaml.safe_load((CHART / "values.yaml").read_text()))


def objects_in(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, list):
        return [found for each in part for found in objects_in(each)]
    if not isinstance(part, dict):
        return []
    here = [part] if "properties" in part and part.get("type") == "object" else []
    return here + [found for each in part.values() for found in objects_in(each)]


def names(part: dict[str, Any], definitions: dict[str, Any], path: str = "") -> set[str]:
    part = definitions[part["$ref"].rpartition("/")[2]] if "$ref" in part else part
    found = part.get("properties", {})
    below = [names(found[name], definitions, f"{path}{name}.") for name in found.keys() - (FREE if not path else set())]
    return {f"{path}{name}" for name in found}.union(*below)


def names_of_defaults(part: dict[str, Any], path: str = "") -> set[str]:
    below = [names_of_defaults(value, f"{path}{name}.") for name, value in part.items() if isinstance(value, dict)]
    return {f"{path}{name}" for name in part}.union(*below)


def uncommented(lines: list[str]) -> list[str]:
    """Return the lines that set a value of the chart without a comment above or behind it."""
    value = re.compile(r" *[A-Za-z]+: \S")
    return [line for above, line in pairwise(lines) if value.match(line) and "#" not in line and "#" not in above]


def test_the_schema_is_up_to_date() -> None:
    text = (ROOT / chart_schema.SCHEMA).read_text()
    assert written_into(text) == text, "run make chart"


def test_each_setting_of_the_server_is_a_value_either_under_settings_or_elsewhere() -> None:
    listed = set(settings_schema()["properties"])
    assert listed | SET_BY_CHART.keys() == Flags.model_fields.keys()
    assert not listed & SET_BY_CHART.keys()


def test_no_secret_can_be_written_into_the_settings() -> None:
    secrets = {name for name, field in Flags.model_json_schema()["properties"].items() if field.get("writeOnly")}
    assert secrets
    assert secrets <= SET_BY_CHART.keys()


@pytest.mark.parametrize("value", sorted(filter(None, set(SET_BY_CHART.values()))))
def test_a_value_that_stands_for_a_setting_exists(value: str) -> None:
    assert value in names(schema(), schema()["$defs"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("max_sessions", {"type": "integer", "minimum": 1}),
        ("shed_cache_usage", {"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        ("block_size", {"type": "integer", "minimum": 1}),
        ("affinity", {"type": "string", "enum": ["session", "prompt"]}),
        ("hand_off_url", {"type": "array", "items": {"type": "string"}}),
        ("engine_headers", {"type": "object", "additionalProperties": {"type": "string"}}),
        ("chat_template", {"type": "string"}),
    ],
)
def test_a_setting_has_the_type_and_the_bounds_that_the_server_checks(name: str, expected: dict[str, Any]) -> None:
    described = settings_schema()["properties"][name]
    assert described.pop("description") == Flags.model_fields[name].description
    assert described == expected


def test_unknown_names_are_refused_everywhere() -> None:
    open_ended = [part for part in objects_in(schema()) if part.get("additionalProperties") is not False]
    assert all(part.get("required") == ["name"] for part in open_ended), open_ended  # objects of the Gateway API


def test_each_value_has_a_default() -> None:
    allowed = names(schema(), schema()["$defs"])
    # Helm itself refuses defaults that are not in the schema.
    assert allowed - names_of_defaults(values()) == {
        "global",  # for charts that have this one as a part
        "access.certManager.issuerRef.name",
        "access.certManager.issuerRef.kind",
        "access.certManager.issuerRef.group",
        "resources.claims",
        "router.resources.claims",
        "vllm.resources.claims",
    }


def test_each_value_has_a_comment() -> None:
    text = (CHART / "values.yaml").read_text()
    of_kubernetes = re.compile(r"^( *)(resources|dns):\n(?:\1 +.*\n)+", re.MULTILINE)
    assert uncommented(of_kubernetes.sub("", text).splitlines()) == []
    assert uncommented(["# why", "a: 1", "b: 2", "c:", "  d: 3  # why"]) == ["b: 2"]


def test_the_chart_and_its_images_have_the_version_of_the_project() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


@pytest.mark.parametrize("name", ["forefill", "forefill-health", "forefill-metrics", "forefill-openai"])
def test_a_service_of_this_name_would_break_the_server_so_no_pod_has_service_links(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    variable = f"{name.upper().replace('-', '_')}_PORT"
    monkeypatch.setenv(variable, "tcp://10.0.0.1:50051")
    assert main(["--engine", "fake"]) == 2
    assert f"--{variable.removeprefix('FOREFILL_').lower().replace('_', '-')}: " in capsys.readouterr().err
    pods = [text for file in CHART.glob("templates/**/*.yaml") if "containers:" in (text := file.read_text())]
    assert len(pods) == 4
    assert all("enableServiceLinks: false" in pod for pod in pods)


def test_the_server_ignores_variables_that_it_does_not_know_so_the_schema_has_to_refuse_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FOREFILL_MAX_SESIONS", "5")
    assert "max_sesions" not in Flags().model_dump()
    assert settings_schema()["additionalProperties"] is False
