"""A panel of the Grafana dashboard, and the queries that many of them are made of.

In a query, `AT` stands for the dashboard's choice of namespace, job and pod, `NS` for its choice of namespace alone,
since vLLM's own pods have another job, and `[I]` for the interval that fits the zoom.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel, and the legend of its series."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. Units are Grafana's; `width` is of 24 columns; `stacked` adds the series up."""

    title: str
    help: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A titled row of panels."""

    title: str
    panels: tuple[Panel, ...]


PERCENT, SECONDS, RATE = "percentunit", "s", "cps"


def rate_by(metric: str, label: str, matchers: str = "AT") -> tuple[Query, ...]:
    """Return the query of a counter's rates by a label, without those that are 0."""
    return (Query(f"sum by ({label}) (rate({metric}{{{matchers}}}[I])) > 0", f"{{{{{label}}}}}"),)


def quantiles(metric: str, label: str, matchers: str = "AT") -> tuple[Query, ...]:
    """Return the queries of a histogram's median and 95th percentile by a label."""
    series = f"sum by (le, {label}) (rate({metric}_bucket{{{matchers}}}[I]))"
    shares = (("p50", 0.5), ("p95", 0.95))
    return tuple(Query(f"histogram_quantile({share}, {series})", f"{name} {{{{{label}}}}}") for name, share in shares)
