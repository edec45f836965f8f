"""The figures of a run, by workload, number of typists and arm: pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any, Final

from ..typing.arms import ARMS
from ..typing.workloads import is_of_people
from .guesses import guesses
from .results import BackgroundRow, RequestRow
from .spread import Sample

COMPARED_WITH: Final = ("cold", "static", "direct", "oracle")
"""Every arm is compared with all of them: a comparison with `cold` alone flatters."""
NEIGHBOURS: Final = (
    ("ttft_ms", "p50"),
    ("ttft_ms", "p95"),
    ("gap_ms", "p95"),
    ("gap_ms", "p99"),
    ("answer_ms", "mean"),
)
"""The figures of the background traffic that are compared with those beside `direct`."""

Summary = dict[str, dict[str, dict[str, dict[str, Any]]]]


def summarise(requests: Iterable[RequestRow], background: Iterable[BackgroundRow], seed: int) -> Summary:
    """Return {workload: {typists: {arm: figures}}}; rows without an answer only count as failures."""
    requests, background = list(requests), list(background)
    summary: Summary = {}
    for workload, typists in dict.fromkeys((row.workload, row.typists) for row in requests):
        cell = [row for row in requests if (row.workload, row.typists) == (workload, typists)]
        beside = [row for row in background if (row.workload, row.typists) == (workload, typists)]
        summary.setdefault(workload, {})[str(typists)] = _cell(cell, beside, seed)
    return summary


def _cell(requests: list[RequestRow], background: list[BackgroundRow], seed: int) -> dict[str, dict[str, Any]]:
    arms = [name for name in ARMS if any(row.arm == name for row in requests)]
    by_arm = {name: [row for row in requests if row.arm == name] for name in arms}
    ttfts = {name: sample for name in arms if (sample := _sample(by_arm[name], "ttft_ms", seed))}
    neighbours = {name: _neighbours([row for row in background if row.arm == name], seed) for name in arms}
    figures = {}
    for name in arms:
        figures[name] = _requests(by_arm[name], seed)
        figures[name]["times_faster"] = _times_faster(name, ttfts)
        if is_of_people(requests[0].workload):
            figures[name]["guesses"] = guesses([row.served for row in by_arm[name] if not row.served.error])
        if any(row.arm == name for row in background):
            figures[name]["background"] = _background(name, background, neighbours)
    return figures


def _sample(rows: list[RequestRow], field: str, seed: int) -> Sample | None:
    values = [value for row in rows if (value := getattr(row.served, field)) is not None]
    return Sample.single(values, seed) if values else None


def _requests(rows: list[RequestRow], seed: int) -> dict[str, Any]:
    answered = [row.served for row in rows if not row.served.error]
    figures: dict[str, Any] = {"requests": len(rows), "failures": len(rows) - len(answered)}
    for field in ("ttft_ms", "answer_ms", "prompt_tokens", "cached_tokens", "requests_sent"):
        sample = Sample.single([getattr(served, field) for served in answered], seed) if answered else None
        figures[field] = sample.as_json() if sample else None
    computed, wasted = (sum(getattr(one, f"warm_{what}_tokens") for one in answered) for what in ("computed", "wasted"))
    figures["warm_tokens"] = {
        "computed": computed,
        "used": computed - wasted,
        "wasted": wasted,
        "wasted_share": round(wasted / computed, 4) if computed else None,
    }
    figures["pregenerated_tokens"] = {
        "computed": sum(one.pregenerated_tokens for one in answered),
        "discarded": sum(one.discarded_tokens for one in answered),
    }
    figures["sources"] = dict(Counter(one.source for one in answered))
    figures["late_ms_mean"] = round(fmean([one.late_ms for one in answered]), 3) if answered else None
    turns = sorted({row.turn for row in rows})
    if len(turns) > 1:
        by_turn = {turn: _sample([row for row in rows if row.turn == turn], "ttft_ms", seed) for turn in turns}
        figures["turns"] = {str(turn + 1): sample.as_json() if sample else None for turn, sample in by_turn.items()}
    return figures


def _times_faster(arm: str, ttfts: dict[str, Sample]) -> dict[str, Any]:
    """Return the ratios of other arms' times to the first token to this arm's."""
    figures: dict[str, Any] = {}
    for other in COMPARED_WITH:
        if other == arm or arm not in ttfts or other not in ttfts:
            continue
        figures[f"than_{other}"] = _ratios(ttfts[other], ttfts[arm], ("p50", "p95"))
    return figures


def _ratios(one: Sample, two: Sample, names: Iterable[str]) -> dict[str, Any]:
    ratios: dict[str, Any] = {}
    for name in names:
        value, interval = one.ratio(two, name)
        ratios[name] = round(value, 4)
        ratios[f"{name}_interval"] = [round(end, 4) for end in interval]
    return ratios


def _neighbours(rows: list[BackgroundRow], seed: int) -> dict[str, Sample]:
    answered = [row for row in rows if not row.error]
    groups: dict[str, list[Sequence[float]]] = {
        "ttft_ms": [(row.ttft_ms,) for row in answered if row.ttft_ms is not None],
        "gap_ms": [row.gaps_ms for row in answered],
        "answer_ms": [(row.answer_ms,) for row in answered if row.answer_ms is not None],
    }
    return {name: Sample(values, seed) for name, values in groups.items() if any(values)}


def _background(arm: str, rows: list[BackgroundRow], neighbours: dict[str, dict[str, Sample]]) -> dict[str, Any]:
    own = [row for row in rows if row.arm == arm]
    figures: dict[str, Any] = {"requests": len(own), "failures": sum(bool(row.error) for row in own)}
    figures |= {name: sample.as_json() for name, sample in neighbours[arm].items()}
    plain = neighbours.get("direct", {})
    if arm != "direct" and plain:
        figures["against_direct"] = {
            name: _ratios(neighbours[arm][name], plain[name], [figure for which, figure in NEIGHBOURS if which == name])
            for name in dict.fromkeys(name for name, _ in NEIGHBOURS)
            if name in plain and name in neighbours[arm]
        }
    return figures
