"""A run's summary for people, in at most 100 columns."""

from collections.abc import Sequence
from typing import Any, Final

from ..typing.arms import ARMS
from ..typing.workloads import CACHED_DIRECT, LOAD, WORKLOADS, is_of_people
from .people_table import PEOPLE_LEGEND, milliseconds, people_table
from .rich_tables import table_text
from .summary import Summary

Figures = dict[str, Any]

_COLUMNS: Final = (
    *(("arm", 8), ("p50", 7), ("95 % of p50", 13), ("p95", 7), ("p99", 7), ("cached/prompt", 14), ("answer", 7)),
    *(("sent", 5), ("waste", 6), ("x cold", 7), ("x static", 8)),
)
_NEIGHBOURS_COLUMNS: Final = (
    *(("arm", 8), ("ttft p50", 9), ("p95", 7), ("gap p50", 9), ("p95", 6), ("p99", 6), ("answer", 8)),
    *(("ttft p95", 13), ("gap p99", 8), ("answer", 7)),
)
_SHARES_WIDTH: Final = sum(1 + width for _, width in _NEIGHBOURS_COLUMNS[-3:])
LEGEND: Final = (
    "p50, p95, p99: time to the first token at the client, from the instant when Enter was due, in ms,\n"
    "with the 95 % bootstrap interval of the median. Tokens and ms to the whole answer: medians.\n"
    "sent: requests to vLLM for one SUBMIT (mean). waste: share of the warmed tokens that the answer did\n"
    "not find. x cold, x static: how many times sooner than these (medians)."
)


def tables(summary: Summary) -> str:
    """Return one table for each workload and number of typists, and what the columns mean."""
    parts = []
    for workload, cells in summary.items():
        for typists, arms in cells.items():
            parts.append(_table(workload, typists, arms))
            if any("background" in figures for figures in arms.values()):
                parts.append(_neighbours(typists, arms))
    shown = {name for cells in summary.values() for arms in cells.values() for name in arms}
    legend = [f"{name:8}{arm.about}" for name, arm in ARMS.items() if name in shown]
    people = [PEOPLE_LEGEND] * any(map(is_of_people, summary))
    return "\n\n".join(["", *parts, "\n".join([LEGEND, *people, *legend])])


def _table(workload: str, typists: str, arms: dict[str, Figures]) -> str:
    title, of_people = f"{workload}: {WORKLOADS[workload].about}", is_of_people(workload)
    if workload == LOAD or of_people:
        title += f"; {typists} typist{'s' * (typists != '1')}"
    rows = [_row(name, figures) for name, figures in arms.items() if figures["ttft_ms"] is not None]
    lines = [title, people_table(arms) if of_people else _lines(_COLUMNS, rows)]
    lines += [_unanswered(name, figures) for name, figures in arms.items() if figures["ttft_ms"] is None]
    lines += [_failed(name, figures) for name, figures in arms.items()]
    if workload == "overhead":
        lines.append(_overhead(arms))
    return "\n".join(line for line in lines if line)


def _lines(columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[str]]) -> str:
    return table_text([name for name, _ in columns], rows, widths=[width for _, width in columns])


def _row(name: str, figures: Figures) -> list[str]:
    ttft = figures["ttft_ms"]
    low, high = ttft["p50_interval"]
    faster, wasted = figures["times_faster"], figures["warm_tokens"]["wasted_share"]
    return [
        name,
        milliseconds(ttft["p50"]),
        f"{milliseconds(low)}-{milliseconds(high)}",
        milliseconds(ttft["p95"]),
        milliseconds(ttft["p99"]),
        f"{figures['cached_tokens']['p50']:.0f}/{figures['prompt_tokens']['p50']:.0f}",
        milliseconds(figures["answer_ms"]["p50"]),
        f"{figures['requests_sent']['mean']:.1f}",
        "" if wasted is None else f"{wasted:.0%}",
        _times(faster, "than_cold"),
        _times(faster, "than_static"),
    ]


def _unanswered(name: str, figures: Figures) -> str:
    return f"{name:8}  no answer in {figures['requests']} requests"


def _overhead(arms: dict[str, Figures]) -> str:
    p50 = {name: figures["ttft_ms"]["p50"] for name, figures in arms.items() if figures["ttft_ms"]}
    lines = []
    for name, ours in (("oracle", "forefill"), ("remote", "forefill in front of it")):
        if name in p50 and "direct" in p50:
            added = p50[name] - p50["direct"]
            lines.append(f"{ours} adds {added:+.1f} ms (medians; direct: {CACHED_DIRECT.about})")
    return "\n".join(lines)


def _neighbours(typists: str, arms: dict[str, Figures]) -> str:
    title = f"plain generations beside {typists} typist{'s' * (typists != '1')}, ms"
    rest = sum(1 + width for _, width in _NEIGHBOURS_COLUMNS) - 1 - _SHARES_WIDTH
    backgrounds = {name: figures["background"] for name, figures in arms.items() if "background" in figures}
    rows = [_neighbour(name, figures) for name, figures in backgrounds.items() if "ttft_ms" in figures]
    lines = [title.ljust(rest) + "as a share of direct's".rjust(_SHARES_WIDTH), _lines(_NEIGHBOURS_COLUMNS, rows)]
    lines += [_unanswered(name, figures) for name, figures in backgrounds.items() if "ttft_ms" not in figures]
    lines += [_failed(name, figures) for name, figures in backgrounds.items()]
    return "\n".join(line for line in lines if line)


def _failed(name: str, figures: Figures) -> str:
    if not figures["failures"]:
        return ""
    return f"{name}: {figures['failures']} of {figures['requests']} requests FAILED"


def _neighbour(name: str, figures: Figures) -> list[str]:
    ttft, gap, answer = figures["ttft_ms"], figures.get("gap_ms") or {}, figures["answer_ms"]
    against = figures.get("against_direct", {})
    return [
        name,
        *(milliseconds(ttft["p50"]), milliseconds(ttft["p95"])),
        *(milliseconds(gap.get("p50")), milliseconds(gap.get("p95")), milliseconds(gap.get("p99"))),
        milliseconds(answer["mean"]),
        *(_share(against, "ttft_ms", "p95"), _share(against, "gap_ms", "p99"), _share(against, "answer_ms", "mean")),
    ]


def _times(faster: Figures, than: str) -> str:
    if than not in faster:
        return ""
    ratio = faster[than]["p50"]
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def _share(against: Figures, name: str, figure: str) -> str:
    return f"{against[name][figure]:.2f}" if name in against else ""
