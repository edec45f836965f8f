"""A plan as tables for people, in at most 100 columns."""

from collections.abc import Sequence
from typing import Final

from ..capacity.capacity import Fleet
from ..capacity.estimate import Paper
from ..capacity.scenario import ARMS, Outcome

LEGEND: Final = """\
cold: plain vLLM, warming off. static: all before the draft cached beforehand, at no cost. typed: forefill.
a/b: time to the first token in ms, median/95th percentile. cached: share of the prompts cached at Enter.
busy: share of the time in which the engine works; for warms: of the time, too. evenly: replicas that would do
if all had equally many typists; hashing gives the fullest one more. -: no number of replicas is enough."""


def alone_table(paper: Paper, alone: dict[str, Outcome]) -> str:
    """Return what one typist alone gets, on paper and simulated."""
    rows = [
        (arm, _ms(paper.ttft_ms[arm]), _ttft(told), _share(paper.hit_share[arm]), _share(told.hit_share))
        for arm, told in alone.items()
    ]
    head = ("", "on paper", "simulated", "cached on paper", "simulated")
    return _table("one typist alone on a replica: time to the first token, ms", head, rows)


def replica_table(paper: Paper, outcomes: Sequence[Outcome], most: dict[str, int], target_ms: float) -> str:
    """Return what each number of typists gets on one replica, and how many it carries."""
    by_place = {(told.arm, told.typists): told for told in outcomes}
    loads = sorted(typists for arm, typists in by_place if arm == "typed")
    head = ("typists", *ARMS, "cached", "warm tokens/s", "on paper", "busy", "for warms")
    rows = []
    for load in loads:
        told = by_place["typed", load]
        warm = f"{told.warm_tokens_per_second:,.0f}", f"{load * paper.warm_tokens_per_second:,.0f}"
        shares = _share(told.busy_share), _share(told.warm_share)
        ttfts = (_ttft(by_place[arm, load]) for arm in ARMS)
        rows.append((str(load), *ttfts, _share(told.hit_share), *warm, *shares))
    carried = ", ".join(f"{arm} {number or 'none'}" for arm, number in most.items())
    lines = [
        _table("typists on one replica; what follows their waits is of typed", head, rows),
        f"carried with p95 within {target_ms:g} ms: {carried}; on paper it is full at {paper.most_typists:.0f}",
    ]
    return "\n".join(lines)


def fleet_table(fleets: Sequence[Fleet]) -> str:
    """Return what fleets of typists need and get."""
    others = [arm for arm in ARMS if arm != "typed"]
    head = ("typists", "typed", "evenly", *others, *(f"{arm}, ms" for arm in ARMS))
    rows = []
    for fleet in fleets:
        replicas = fleet.typists, fleet.replicas, fleet.evenly, *(fleet.needed[arm] for arm in others)
        waits = (fleet.served[arm] for arm in ARMS)
        rows.append((*map(_count, replicas), *(f"{_ms(wait.p50_ms)}/{_ms(wait.p95_ms)}" for wait in waits)))
    title = "fleets: replicas needed in each way of serving, and what each gives on as many as typed needs"
    return _table(title, head, rows)


def _ttft(told: Outcome) -> str:
    return f"{_ms(told.ttft(0.5))}/{_ms(told.ttft(0.95))}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:]])


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value:.0%}"
