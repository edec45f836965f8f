"""The Grafana dashboard and the alert rules, made from the tables in `panels.py` and `alerts.py`."""

# ruff: noqa: T201 - it talks to people
import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from .alerts import GROUPS, Alert
from .panel import Panel, Row
from .panels import ROWS

ROOT = Path(__file__).resolve().parents[2]
FILES = "deploy/helm/forefill/files"
DASHBOARD, ALERTS = f"{FILES}/dashboard.json", f"{FILES}/alerts.yaml"

COLUMNS = 24
HEIGHTS = {"stat": 4, "timeseries": 8}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
PLACEHOLDERS = {
    "{AT": '{namespace=~"$namespace", job=~"$job", pod=~"$pod"',
    "{NS": '{namespace=~"$namespace"',
    "[I]": "[$__rate_interval]",
}
VARIABLES = {
    "namespace": "label_values(forefill_streams, namespace)",
    "job": 'label_values(forefill_streams{namespace=~"$namespace"}, job)',
    "pod": 'label_values(forefill_streams{namespace=~"$namespace", job=~"$job"}, pod)',
}


def dashboard() -> str:
    """Return the dashboard as Grafana imports it."""
    about = {
        "uid": "forefill",
        "title": "forefill",
        "description": "Streams of keystrokes, what is warmed for them, and how long users wait.",
        "tags": ["forefill", "vllm"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": [_datasource(), *(_variable(name, query) for name, query in VARIABLES.items())]},
        "panels": list(_panels()),
    }
    return json.dumps(about, indent=1) + "\n"


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}


def _variable(name: str, query: str) -> dict[str, Any]:
    """Return a choice of values of a label; all of them means any, also none, as outside Kubernetes."""
    asked = {"query": {"query": query, "refId": name}, "definition": query, "refresh": 2, "sort": 1}
    choice = {"multi": True, "includeAll": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"}}
    return {"name": name, "type": "query", "datasource": SOURCE, "hide": 0} | asked | choice


def _panels() -> Iterator[dict[str, Any]]:
    top, number = 0, 0
    for row in ROWS:
        number += 1
        yield _row(row, number, top)
        top += 1
        left = height = 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top = 0, top + height
            height, number = HEIGHTS[panel.kind], number + 1
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            yield _panel(panel, number) | {"gridPos": place}
            left += panel.width
        top += height


def _row(row: Row, number: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [], "gridPos": place}


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.help,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            _target(ref, query.expr, query.legend) for ref, query in zip("ABCDEF", panel.queries, strict=False)
        ],
    }


_OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "graphMode": "area"},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
}


def _defaults(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.unit == "percentunit":
        defaults["max"] = 1
    if panel.kind == "timeseries":
        drawn = {"fillOpacity": 30 if panel.stacked else 0, "lineWidth": 1, "showPoints": "never"}
        defaults["custom"] = drawn | {"stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"}}
    return defaults


def _target(ref: str, expr: str, legend: str) -> dict[str, Any]:
    return {"refId": ref, "expr": filled(expr), "legendFormat": legend, "datasource": SOURCE, "editorMode": "code"}


def filled(expr: str) -> str:
    """Return a query with Grafana's variables in place of the short forms of `panel.py`."""
    for short, whole in PLACEHOLDERS.items():
        expr = expr.replace(short, whole)
    return expr


def alerts() -> str:
    """Return the rules as Prometheus reads them."""
    groups = [{"name": name, "rules": [_rule(alert) for alert in group]} for name, group in GROUPS.items()]
    head = "# make dashboards writes this file, from deploy/dev/alerts.py.\n"
    return head + str(yaml.safe_dump({"groups": groups}, sort_keys=False, width=120))


def _rule(alert: Alert) -> dict[str, Any]:
    annotations = {"summary": alert.summary, "description": alert.description, "runbook_url": alert.runbook}
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.for_,
        "labels": {"severity": alert.severity},
        "annotations": annotations,
    }


FILES_MADE = {DASHBOARD: dashboard, ALERTS: alerts}


def main() -> int:
    """Print the files' names; with --write make them."""
    parser = argparse.ArgumentParser(description="Make the Grafana dashboard and the alert rules.")
    parser.add_argument("--write", action="store_true", help="write the files instead of printing them")
    write = parser.parse_args().write
    for name, made in FILES_MADE.items():
        if write:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(made(), encoding="utf-8")
        else:
            print(made(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
