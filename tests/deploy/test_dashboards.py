"""The dashboard and the alerts ask for metrics and labels that exist, and their files are those of today's tables."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from forefill_service.fleet import metric_table

from deploy.dev import vllm_metrics
from deploy.dev.alerts import GROUPS
from deploy.dev.dashboards import ALERTS, DASHBOARD, FILES_MADE, ROOT, VARIABLES, filled
from deploy.dev.panels import ROWS
from tests.support.promql import grouping_labels, selectors

OF_THE_TARGET = frozenset(("namespace", "job", "pod"))
"""Labels that Prometheus adds to all metrics of a pod."""
OVER_TIME = {
    "_total": {"rate", "increase"},
    "_created": {"changes"},
    "_bucket": {"rate", "increase"},
    "_sum": {"rate", "increase"},
    "_count": {"rate", "increase"},
}
"""What a counter may be asked by: its value alone says when its server was started, and nothing else."""


@dataclass(frozen=True, slots=True)
class Series:
    """Series of one name: their labels with all values that are known, and the functions that must be around them."""

    labels: Mapping[str, Sequence[str]]
    functions: frozenset[str] = frozenset()


def scraped(name: str, kind: str, labels: Mapping[str, Sequence[str]]) -> dict[str, Series]:
    """Return all names under which a metric is scraped."""
    suffixes = {"gauge": ("",), "counter": ("_total", "_created"), "histogram": ("_bucket", "_sum", "_count")}[kind]
    found = {}
    for suffix in suffixes:
        le: dict[str, Sequence[str]] = {"le": ()} if suffix == "_bucket" else {}
        found[name + suffix] = Series({**labels, **le}, frozenset(OVER_TIME.get(suffix, ())))
    return found


OURS = [scraped(metric_table.PREFIX + m.name, m.kind, m.labels) for m in metric_table.TABLE]
VLLMS = [scraped(vllm_metrics.PREFIX + name, kind, {}) for name, kind in vllm_metrics.METRICS.items()]
KNOWN = {name: series for names in OURS + VLLMS for name, series in names.items()}

RULES = {alert.name: alert for group in GROUPS.values() for alert in group}
EXPRESSIONS = {
    **{name: alert.expr for name, alert in RULES.items()},
    **{
        f"{panel.title}, {query.legend or 'all'}": filled(query.expr)
        for row in ROWS
        for panel in row.panels
        for query in panel.queries
    },
}


def complaints(expr: str) -> list[str]:
    """Return what an expression asks for that no server has, or asks in a way that makes no sense."""
    found, labels = [], set(OF_THE_TARGET)
    for selector in selectors(expr):
        series = KNOWN.get(selector.metric)
        if series is None:
            found.append(f"no metric {selector.metric}")
            continue
        labels |= series.labels.keys()
        if series.functions and selector.function not in series.functions:
            found.append(f"{selector.metric} in {selector.function or 'no function'}")
        for label, values in selector.asked.items():
            found += _of_label(selector.metric, label, values, series)
    return found + [f"no label {label}" for label in sorted(grouping_labels(expr) - labels)]


def _of_label(metric: str, label: str, values: Sequence[str], series: Series) -> list[str]:
    if label in OF_THE_TARGET:
        return []
    if label not in series.labels:
        return [f"{metric} has no label {label}"]
    known = series.labels[label]
    return [f"{metric}: {label} is never {value}" for value in values if known and value not in known]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_asks_for_what_exists(name: str) -> None:
    assert complaints(EXPRESSIONS[name]) == []


@pytest.mark.parametrize(
    ("expr", "complaint"),
    [
        ("sum(forefill_sesions)", "no metric forefill_sesions"),
        ("sum by (source) (forefill_sessions)", "no label source"),
        ('forefill_sessions{source="warm"}', "forefill_sessions has no label source"),
        ('rate(forefill_sheds_total{reason=~"load|quotas"}[5m])', "forefill_sheds_total: reason is never quotas"),
        ('rate(forefill_sheds_total{reason!="busy"}[5m])', "forefill_sheds_total: reason is never busy"),
        ("forefill_sheds_total > 5", "forefill_sheds_total in no function"),
        ("sum(forefill_sheds_total)", "forefill_sheds_total in sum"),
        ("rate(forefill_sheds[5m])", "no metric forefill_sheds"),
        ("rate(forefill_ttft_seconds[5m])", "no metric forefill_ttft_seconds"),
        ("sum by (le) (rate(forefill_ttft_seconds_count[5m]))", "no label le"),
        ("deriv(forefill_sessions[5m])", "no metric deriv"),
        ("vllm:gpu_cache_usage_perc > 0.9", "no metric vllm:gpu_cache_usage_perc"),
    ],
)
def test_an_expression_that_asks_for_something_else_is_found_out(expr: str, complaint: str) -> None:
    assert complaints(expr) == [complaint]


def test_every_metric_of_the_table_is_on_the_dashboard() -> None:
    text = (ROOT / DASHBOARD).read_text(encoding="utf-8")
    shown = {
        s.metric for panel in json.loads(text)["panels"] for t in panel.get("targets", ()) for s in selectors(t["expr"])
    }
    missing = [names for names in OURS + VLLMS if not names.keys() & shown]
    assert missing == []


@pytest.mark.parametrize("file", FILES_MADE)
def test_a_file_is_up_to_date(file: str) -> None:
    assert (ROOT / file).read_text(encoding="utf-8") == FILES_MADE[file](), "run make dashboards"


def test_vllm_has_the_metrics_that_are_asked_of_it() -> None:
    spec = find_spec("vllm")  # imports nothing
    assert spec is not None
    assert spec.origin is not None
    source = (Path(spec.origin).parent / "v1" / "metrics" / "loggers.py").read_text(encoding="utf-8")
    made = re.findall(r'self\._(\w+)_cls\(\s*name="vllm:(\w+)"', source)
    assert vllm_metrics.METRICS.items() <= {name: kind for kind, name in made}.items()


def dashboard() -> Any:
    return json.loads((ROOT / DASHBOARD).read_text(encoding="utf-8"))


def test_the_panels_of_the_dashboard_do_not_overlap_and_have_names_of_their_own() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24


def test_the_dashboard_takes_its_data_from_where_its_reader_says_and_no_short_form_is_left() -> None:
    names = {variable["name"] for variable in dashboard()["templating"]["list"]}
    text = (ROOT / DASHBOARD).read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{?(\w+)", text)) - {"__rate_interval", "__all"} == names
    assert not re.findall(r"\{(?:AT|NS)\b|\[I\]", text)


@pytest.mark.parametrize("query", VARIABLES.values())
def test_the_choices_of_the_dashboard_are_read_from_a_metric_that_exists(query: str) -> None:
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
    assert found is not None
    assert found[2] in OF_THE_TARGET
    assert complaints(found[1]) == []


# --- the alerts


def test_the_rules_are_groups_of_alerts_as_prometheus_reads_them() -> None:
    groups = yaml.safe_load((ROOT / ALERTS).read_text(encoding="utf-8"))["groups"]
    assert [rule["alert"] for group in groups for rule in group["rules"]] == list(RULES)
    assert len(RULES) == sum(map(len, GROUPS.values())), "names are unique"


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_how_bad_it_is_what_is_wrong_and_what_to_do(name: str) -> None:
    alert = RULES[name]
    assert re.fullmatch(r"\d+[mh]", alert.for_)
    assert alert.summary.endswith(".")
    assert alert.description.endswith(".")
    file, _, anchor = alert.runbook.partition("#")
    assert anchor in anchors((ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", RULES)
def test_the_words_of_an_alert_name_only_labels_that_its_expression_leaves(name: str) -> None:
    alert = RULES[name]
    named = set(re.findall(r"\$labels\.(\w+)", alert.summary + alert.description))
    assert named <= (grouping_labels(alert.expr) or OF_THE_TARGET)


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
