"""`forefill plan`: how many replicas a fleet of typists needs, by simulating one; tables, a result file, a figure."""

import asyncio
import dataclasses
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from forefill_client.errors import ForefillError
from forefill_client.keystrokes import SAMPLE_QUERIES
from forefill_client.terminal import Terminal, write_result

from .capacity.capacity import Capacity, Fleet, plan_fleet
from .capacity.estimate import QUESTION_TOKENS, Estimate, estimate
from .capacity.fleet import Placed
from .plan_options import PlanCommand
from .report import meta
from .report.plan_plots import write_plots
from .report.plan_table import LEGEND, alone_table, fleet_table, replica_table
from .report.plan_values import values_text
from .sim.outcome import SimulatedOutcome
from .sim.scenario import SIMULATED_ARMS
from .sim.simulate import busy_gap_ms, simulate


class Stopped(Exception):
    """Raised in a simulation whose result is no longer wanted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The estimate, the simulations, what one replica carries in each arm, and the fleets."""

    estimate: Estimate
    outcomes: tuple[SimulatedOutcome, ...]
    max_typists: dict[str, int]
    fleets: tuple[Fleet, ...]


async def run(command: PlanCommand) -> int:
    """Plan, print the tables, write the files, and return the exit status."""
    _check(command)
    began_at = meta.now()
    stopped = threading.Event()
    with Terminal() as terminal:
        try:  # in a thread, so that Ctrl-C is heard here
            plan = await asyncio.to_thread(make_plan, command, terminal, stopped)
        finally:
            stopped.set()
    write_result(_tables(command, plan) + "\n")
    if command.json_file is not None:
        command.json_file.write_text(json.dumps(_as_json(command, plan, began_at), indent=1) + "\n", encoding="utf-8")
    if command.plot_prefix is not None and plan.fleets:
        for file in write_plots(plan.fleets, command.target_ms, command.plot_prefix):
            write_result(f"wrote {file}\n")
    if command.values_file is not None:
        _write_values(command, plan, command.values_file)
    return 0


def _write_values(command: PlanCommand, plan: Plan, file: Path) -> None:
    """Write the values of the one fleet that was planned; raises ForefillError if no fleet is enough."""
    if not plan.fleets:
        raise ForefillError("no values were written: no fleet is fast enough for one typist")
    file.write_text(values_text(command, plan.fleets[0]), encoding="utf-8")
    write_result(f"wrote {file}\n")


def make_plan(command: PlanCommand, terminal: Terminal, stopped: threading.Event) -> Plan:
    """Simulate what is needed; raises Stopped soon after `stopped` is set."""

    def simulated(arm: str, typists: int) -> SimulatedOutcome:
        place = f"{arm}, {typists} typist{'s' * (typists != 1)} on a replica"
        window = command.use.window(typists, command.submits, command.seed)

        def progress(seconds: float) -> None:
            if stopped.is_set():
                raise Stopped
            terminal.draw(f"simulating {place}: {min(1.0, 1000 * seconds / window.ends_ms):.0%}")

        outcome = simulate(command.replica, command.use, window, arm, progress)
        if not terminal.live:
            terminal.say(f"{place}: p50 {outcome.ttft(0.5):.0f} ms, p95 {outcome.ttft(0.95):.0f} ms")
        return outcome

    capacity = Capacity(simulated, command.target_ms)
    typed = capacity.max_typists("typed")
    max_typists = {arm: typed if arm == "typed" else capacity.max_typists(arm) for arm in SIMULATED_ARMS}
    for load in capacity.loads("typed"):
        for arm in SIMULATED_ARMS:
            capacity.outcome(arm, load)
    spread = Placed(command.copies)
    return Plan(
        estimate(command.replica, command.use, busy_gap_ms()),
        tuple(capacity.outcomes[place] for place in sorted(capacity.outcomes)),
        max_typists,
        tuple(plan_fleet(capacity, max_typists, size, spread) for size in command.typists) if typed else (),
    )


def _check(command: PlanCommand) -> None:
    """Raise now what would otherwise fail after a minute."""
    replica, use = command.replica, command.use
    if command.values_file is not None and len(command.typists) != 1:
        raise ForefillError("--values describes one fleet: give one number with --typists")
    for path in (command.json_file, command.plot_prefix, command.values_file):
        if path is not None:
            path.parent.stat()
    typing = fmean(session.script[-1].at_ms for session in use.window(1, len(SAMPLE_QUERIES), 1).sessions) / 1000
    if typing > use.cycle_seconds:
        raise ForefillError(f"typing a question takes {typing:.0f} s at that pace: raise --cycle-seconds or --wpm")
    whole = use.context_tokens + use.answer_tokens + 4 * QUESTION_TOKENS + 2 * replica.block_size
    if whole > replica.cache_tokens:
        raise ForefillError(f"a cache of {replica.cache_tokens} tokens does not hold one prompt: raise --cache-tokens")


def _tables(command: PlanCommand, plan: Plan) -> str:
    alone = {outcome.arm: outcome for outcome in plan.outcomes if outcome.typists == 1}
    parts = [
        alone_table(plan.estimate, {arm: alone[arm] for arm in SIMULATED_ARMS}),
        replica_table(plan.estimate, plan.outcomes, plan.max_typists, command.target_ms),
        fleet_table(plan.fleets) if plan.fleets else "one typist alone waits longer than that: raise --target-ms",
        LEGEND,
    ]
    return "\n\n".join(parts)


def _as_json(command: PlanCommand, plan: Plan, began_at: str) -> dict[str, Any]:
    about = {"started_at": began_at, "finished_at": meta.now(), "seed": command.seed, "flags": command.flags}
    return {
        "meta": about | {"versions": meta.versions()},
        "paper": dataclasses.asdict(plan.estimate),
        "replica": [_figures(outcome) for outcome in plan.outcomes],
        "most_typists": plan.max_typists,
        "fleets": [dataclasses.asdict(fleet) for fleet in plan.fleets],
    }


def _figures(outcome: SimulatedOutcome) -> dict[str, Any]:
    """Return a simulation's figures, without every single value."""
    figures = {
        "ttft_ms": {"n": len(outcome.ttft_ms)} | {f"p{share}": outcome.ttft(share / 100) for share in (50, 95)},
        "hit_share": outcome.hit_share,
        "warm_tokens_per_second": outcome.warm_tokens_per_second,
        "busy_share": outcome.busy_share,
        "warm_share": outcome.warm_share,
    }
    return {"arm": outcome.arm, "typists": outcome.typists, "failures": outcome.failures} | figures
