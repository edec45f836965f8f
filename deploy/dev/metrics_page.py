#!/usr/bin/env python3
"""The document of the metrics: a table made from the one that the server makes its metrics from."""

# ruff: noqa: T201 - it talks to people
import argparse
import sys
from pathlib import Path

from forefill_service.errors import Reason
from forefill_service.fleet.metric_table import PREFIX, REPLICA, TABLE, Metric, label_of

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = "service/METRICS.md"
BEGIN, END = "<!-- deploy/dev/metrics_page.py writes this -->\n", "<!-- end of the table -->\n"

HEAD = "| metric | type | labels | |\n|---|---|---|---|\n"


def table() -> str:
    """Return the table, a row for each metric, by the names that a scrape has."""
    return HEAD + "".join(_row(metric) for metric in TABLE)


def scraped_name(metric: Metric) -> str:
    """Return the name that queries use."""
    return f"{PREFIX}{metric.name}{'_total' if metric.kind == 'counter' else ''}"


def _row(metric: Metric) -> str:
    labels = "; ".join(_label(name, list(values)) for name, values in metric.labels.items())
    return f"| `{scraped_name(metric)}` | {metric.kind} | {labels} | {metric.help} |\n"


def _label(name: str, values: list[str]) -> str:
    if name == REPLICA:
        return f"`{name}`: one for each engine"
    reasons = [label_of(reason) for reason in Reason]
    if values[-len(reasons) :] == reasons:
        values = [*values[: -len(reasons)], "each `ErrorReason` of the wire in lower case"]
    return f"`{name}`: {', '.join(values)}"


def document(text: str) -> str:
    """Return the document with the table of today."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise SystemExit(f"metrics_page: {DOCUMENT} has lost the marks between which the table goes:\n{BEGIN}{END}")
    return before + begin + table() + end + after


def main() -> int:
    """Print the table; with --write put it where it belongs."""
    parser = argparse.ArgumentParser(description="Write what each metric of the server means.")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT} instead of printing it")
    path = ROOT / DOCUMENT
    if parser.parse_args().write:
        path.write_text(document(path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(table(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
