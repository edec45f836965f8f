"""The table of a workload of people: what was begun before Enter beside the waits."""

from typing import Any, Final

from ..typing.workloads import BY_DEFAULT
from .rich_tables import table_text

Figures = dict[str, Any]

_COLUMNS: Final = (
    *(("arm", 8), ("p50", 7), ("95 % of p50", 13), ("p95", 7), ("adopted", 8), ("begun", 6), ("waste", 6)),
    *(("gap after", 10), ("gap p99", 8), ("p95/oracle", 11)),
)
PEOPLE_LEGEND: Final = (
    "adopted: share of the answers that were begun before Enter. begun: answers begun for one SUBMIT.\n"
    "waste: engine time of those thrown away, as a share of that of the answers. gap after: the longest\n"
    "gap between pieces of an adopted answer, ms. gap p99: 99th percentile of the gaps of the others.\n"
    f"In the table of people, pregen is {BY_DEFAULT.about}."
)


def people_table(arms: dict[str, Figures]) -> str:
    """Return the table of the arms that have answers."""
    rows = [_row(name, figures) for name, figures in arms.items() if figures["ttft_ms"] is not None]
    return table_text([name for name, _ in _COLUMNS], rows, widths=[width for _, width in _COLUMNS])


def _row(name: str, figures: Figures) -> list[str]:
    ttft, guesses, oracle = figures["ttft_ms"], figures["guesses"], figures["times_faster"].get("than_oracle")
    low, high = ttft["p50_interval"]
    return [
        name,
        milliseconds(ttft["p50"]),
        f"{milliseconds(low)}-{milliseconds(high)}",
        milliseconds(ttft["p95"]),
        _share(guesses["adopted_share"] if guesses["begun"] else None),
        f"{guesses['begun'] / ttft['n']:.1f}" if guesses["begun"] else "",
        _share(guesses["waste"]),
        milliseconds(guesses["largest_gap_after_adoption_ms"]),
        milliseconds(guesses["gap_p99_of_others_ms"]),
        f"{1 / oracle['p95']:.2f}" if oracle else "",
    ]


def milliseconds(value: float | None) -> str:
    """Return a time for a table."""
    if value is None:
        return ""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"
