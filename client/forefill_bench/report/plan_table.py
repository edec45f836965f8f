"""A plan as tables for people, in at most 100 columns."""

from collections.abc import Sequence
from typing import Final

from ..capacity.capacity import Fleet
from ..capacity.estimate import Estimate
from ..sim.outcome import SimulatedOutcome
from ..sim.scenario import SIMULATED_ARMS
from .rich_tables import table_text

LEGEND: Final = """\
cold: plain vLLM, warming off. static: all before the draft cached beforehand, at no cost. typed: forefill.
a/b: time to the first token in ms, median/95th percentile. cached: share of the prompts cached at Enter.
busy: share of the time in which the engine works; for warms: of the time, too. evenly: replicas that would do
if all had equally many typists. hashed: replicas that typed needs if sessions are hashed, not placed by load.
-: no number of replicas is enough."""


def alone_table(estimate: Estimate, alone: dict[str, SimulatedOutcome]) -> str:
    """Return what one typist alone gets, on paper and simulated."""
    rows = [
        (arm, _ms(estimate.ttft_ms[arm]), _ttft(outcome), _share(estimate.hit_share[arm]), _share(outcome.hit_share))
        for arm, outcome in alone.items()
    ]
    head = ("", "on paper", "simulated", "cached on paper", "simulated")
    return _table("one typist alone on a replica: time to the first token, ms", head, rows)


def replica_table(
    estimate: Estimate, outcomes: Sequence[SimulatedOutcome], max_typists: dict[str, int], target_ms: float
) -> str:
    """Return what each number of typists gets on one replica, and how many it carries."""
    by_place = {(outcome.arm, outcome.typists): outcome for outcome in outcomes}
    loads = sorted(typists for arm, typists in by_place if arm == "typed")
    head = ("typists", *SIMULATED_ARMS, "cached", "warm tokens/s", "on paper", "busy", "for warms")
    rows = []
    for load in loads:
        outcome = by_place["typed", load]
        warm = f"{outcome.warm_tokens_per_second:,.0f}", f"{load * estimate.warm_tokens_per_second:,.0f}"
        shares = _share(outcome.busy_share), _share(outcome.warm_share)
        ttfts = (_ttft(by_place[arm, load]) for arm in SIMULATED_ARMS)
        rows.append((str(load), *ttfts, _share(outcome.hit_share), *warm, *shares))
    carried = ", ".join(f"{arm} {number or 'none'}" for arm, number in max_typists.items())
    lines = [
        _table("typists on one replica; what follows their waits is of typed", head, rows),
        f"carried with p95 within {target_ms:g} ms: {carried}; on paper it is full at {estimate.most_typists:.0f}",
    ]
    return "\n".join(lines)


def fleet_table(fleets: Sequence[Fleet]) -> str:
    """Return what fleets of typists need and get."""
    others = [arm for arm in SIMULATED_ARMS if arm != "typed"]
    head = ("typists", "typed", "evenly", "hashed", *others, *(f"{arm}, ms" for arm in SIMULATED_ARMS))
    rows = []
    for fleet in fleets:
        replicas = fleet.typists, fleet.replicas, fleet.evenly, fleet.hashed, *(fleet.needed[arm] for arm in others)
        waits = (fleet.served[arm] for arm in SIMULATED_ARMS)
        rows.append((*map(_count, replicas), *(f"{_ms(wait.p50_ms)}/{_ms(wait.p95_ms)}" for wait in waits)))
    title = "fleets: replicas needed in each way of serving, and what each gives on as many as typed needs"
    return _table(title, head, rows)


def _ttft(outcome: SimulatedOutcome) -> str:
    return f"{_ms(outcome.ttft(0.5))}/{_ms(outcome.ttft(0.95))}"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return f"{title}\n{table_text(head, rows, gap=2, labels=0)}"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value:.0%}"
