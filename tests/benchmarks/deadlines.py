"""Typists beside plain generations, simulated: how long both wait, and how much typing lengthens the others' gaps.

Plays the same windows of `forefill plan`'s replica with `typed` (forefill) and `oracle` (all cached beforehand, at no
cost), over several seeds, with the service's own code at virtual time; see tests/benchmarks/planning.md. The least that
warming can do to a gap is one decode step plus one block after half a context, of the engine's figures alone.

    python tests/benchmarks/deadlines.py [--typists 12] [--seeds 5,6,7,8] [--background-rate 0.7] [--submits 48]
"""

import argparse
from collections.abc import Iterable
from typing import Final

import numpy
from forefill_bench.sim.outcome import SimulatedOutcome
from forefill_bench.sim.scenario import ReplicaSpec, Use
from forefill_bench.sim.simulate import simulate
from forefill_client import arguments

HEAD: Final = (
    "typists  arm       n  typists' TTFT p50    p95  cached   neighbours' gap p50    p95    p99   TTFT p50    p95  busy"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--typists", type=arguments.counts, default=(12,), metavar="N,N")
    parser.add_argument("--seeds", type=arguments.counts, default=(5, 6, 7, 8), metavar="N,N")
    parser.add_argument("--background-rate", type=float, default=0.7, metavar="R")
    parser.add_argument("--submits", type=int, default=48, metavar="N")
    options = parser.parse_args()
    replica, use = ReplicaSpec(), Use(background_rate=options.background_rate)
    least = replica.decode_ms + replica.added_ms(replica.block_size, use.context_tokens / 2)
    print(HEAD)
    for typists in options.typists:
        played = {}
        for arm in ("oracle", "typed"):
            windows = (use.window(typists, options.submits, seed) for seed in options.seeds)
            played[arm] = [simulate(replica, use, window, arm) for window in windows]
            print(line(typists, arm, played[arm]), flush=True)
        print(ratios(played["typed"], played["oracle"], least), flush=True)


def line(typists: int, arm: str, outcomes: list[SimulatedOutcome]) -> str:
    """Return one line of the table."""
    gaps = pooled(outcome.neighbours_gaps_ms for outcome in outcomes)
    firsts = pooled(outcome.neighbours_ttft_ms for outcome in outcomes)
    waits = pooled(outcome.ttft_ms for outcome in outcomes)
    cached = sum(outcome.cached_tokens for outcome in outcomes) / sum(outcome.prompt_tokens for outcome in outcomes)
    busy = numpy.mean([outcome.busy_share for outcome in outcomes])
    return (
        f"{typists:7}  {arm:6}{len(waits):5}{share(waits, 0.5):19.1f}{share(waits, 0.95):7.1f}{cached:8.1%}"
        f"{share(gaps, 0.5):22.1f}{share(gaps, 0.95):7.1f}{share(gaps, 0.99):7.1f}"
        f"{share(firsts, 0.5):11.1f}{share(firsts, 0.95):7.1f}{busy:6.0%}"
    )


def ratios(typed: list[SimulatedOutcome], oracle: list[SimulatedOutcome], least_ms: float) -> str:
    """Return how far typists are from `oracle`, and their neighbours' gaps from a decode step plus the least piece."""
    ours, best = (pooled(outcome.ttft_ms for outcome in outcomes) for outcomes in (typed, oracle))
    gap = share(pooled(outcome.neighbours_gaps_ms for outcome in typed), 0.95)
    p50, p95 = (share(ours, at) / share(best, at) for at in (0.5, 0.95))
    return f"  typed / oracle p50 {p50:.2f}, p95 {p95:.2f}; gap p95 {gap / least_ms:.2f}x of {least_ms:.1f} ms"


def pooled(values: Iterable[tuple[float, ...]]) -> list[float]:
    """Return the values of all windows."""
    return [value for some in values for value in some]


def share(values: list[float], at: float) -> float:
    """Return a percentile, 0 to 1; not a number if there are no values."""
    return float(numpy.quantile(values, at)) if values else float("nan")


if __name__ == "__main__":
    main()
