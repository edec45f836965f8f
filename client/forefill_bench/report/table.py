"""A run's summary for people, in at most 100 columns."""

from typing import Any, Final

from forefill_client.terminal import pad

from ..typing.arms import ARMS
from ..typing.workloads import CACHED_DIRECT, LOAD, WORKLOADS
from .summary import Summary

Figures = dict[str, Any]

_COLUMNS: Final = (("p50", 8), ("95 % of p50", 14), ("p95", 8), ("p99", 8), ("cached/prompt", 15), ("answer", 8))
_MORE: Final = (("sent", 6), ("waste", 7), ("x cold", 8), ("x static", 9))
_HEAD: Final = "arm".ljust(8) + "".join(name.rjust(width) for name, width in _COLUMNS + _MORE)
_NEIGHBOURS_HEAD: Final = (
    "arm".ljust(8) + "ttft p50".rjust(10) + "p95".rjust(8) + "gap p50".rjust(10) + "p95".rjust(7) + "p99".rjust(7)
    + "answer".rjust(9) + "ttft p95".rjust(14) + "gap p99".rjust(9) + "answer".rjust(8)
)  # fmt: skip
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
    return "\n\n".join(["", *parts, "\n".join([LEGEND, *legend])])


def _table(workload: str, typists: str, arms: dict[str, Figures]) -> str:
    title = f"{workload}: {WORKLOADS[workload].about}"
    if workload == LOAD:
        title += f"; {typists} typist{'s' * (typists != '1')}"
    lines = [title, _HEAD, "-" * len(_HEAD), *(_line(name, figures) for name, figures in arms.items())]
    lines += [_failed(name, figures) for name, figures in arms.items()]
    if workload == "overhead":
        lines.append(_overhead(arms))
    return "\n".join(line for line in lines if line)


def _line(name: str, figures: Figures) -> str:
    ttft = figures["ttft_ms"]
    if ttft is None:
        return f"{name:8}  no answer in {figures['requests']} requests"
    low, high = ttft["p50_interval"]
    faster, wasted = figures["times_faster"], figures["warm_tokens"]["wasted_share"]
    cells = [
        _ms(ttft["p50"]),
        f"{_ms(low)}-{_ms(high)}",
        _ms(ttft["p95"]),
        _ms(ttft["p99"]),
        f"{figures['cached_tokens']['p50']:.0f}/{figures['prompt_tokens']['p50']:.0f}",
        _ms(figures["answer_ms"]["p50"]),
        f"{figures['requests_sent']['mean']:.1f}",
        "" if wasted is None else f"{wasted:.0%}",
        _times(faster, "than_cold"),
        _times(faster, "than_static"),
    ]
    widths = [width for _, width in _COLUMNS + _MORE]
    return name.ljust(8) + "".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


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
    head = pad(title, len(_NEIGHBOURS_HEAD) - 26) + "as a share of direct's".rjust(26)
    lines = [_neighbour(name, figures["background"]) for name, figures in arms.items() if "background" in figures]
    lines += [_failed(name, figures.get("background", {})) for name, figures in arms.items()]
    return "\n".join(line for line in (head, _NEIGHBOURS_HEAD, "-" * len(_NEIGHBOURS_HEAD), *lines) if line)


def _failed(name: str, told: Figures) -> str:
    return f"{name}: {told['failures']} of {told['requests']} requests FAILED" if told.get("failures") else ""


def _neighbour(name: str, told: Figures) -> str:
    if "ttft_ms" not in told:
        return f"{name:8}  no answer in {told['requests']} requests"
    ttft, gap, answer = told["ttft_ms"], told.get("gap_ms") or {}, told["answer_ms"]
    against = told.get("against_direct", {})
    shares = [_share(against, *which) for which in (("ttft_ms", "p95"), ("gap_ms", "p99"), ("answer_ms", "mean"))]
    return (
        name.ljust(8) + _ms(ttft["p50"]).rjust(10) + _ms(ttft["p95"]).rjust(8)
        + _ms(gap.get("p50")).rjust(10) + _ms(gap.get("p95")).rjust(7) + _ms(gap.get("p99")).rjust(7)
        + _ms(answer["mean"]).rjust(9) + shares[0].rjust(14) + shares[1].rjust(9) + shares[2].rjust(8)
    )  # fmt: skip


def _ms(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _times(faster: Figures, than: str) -> str:
    if than not in faster:
        return ""
    ratio = faster[than]["p50"]
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2f}"


def _share(against: Figures, name: str, figure: str) -> str:
    return f"{against[name][figure]:.2f}" if name in against else ""
