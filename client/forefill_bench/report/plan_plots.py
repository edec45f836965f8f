"""A plan as one figure: the cost of a fleet and how long its typists wait, by their number."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..capacity.capacity import Fleet
from ..sim.scenario import SIMULATED_ARMS
from .plots import COLOURS, MARKERS, label_axes, new_figure, plain_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def write_plots(fleets: Sequence[Fleet], target_ms: float, prefix: Path) -> list[Path]:
    """Draw the fleets, write PREFIX.png and PREFIX.svg, and return the files."""
    figure = fleet_figure(fleets, target_ms)
    files = [prefix.with_name(f"{prefix.name}.{kind}") for kind in ("png", "svg")]
    for file in files:
        figure.savefig(file, dpi=150)
    return files


def fleet_figure(fleets: Sequence[Fleet], target_ms: float) -> "Figure":
    """Draw replicas, typists on each of them, and the time to the first token on forefill's replicas."""
    figure, (cost, load, wait) = new_figure(13.0, 4.8, 3)
    _draw_cost(cost, load, fleets)
    _draw_wait(wait, fleets, target_ms)
    label_axes(cost, f"Replicas for a p95 within {target_ms:g} ms", "typists", "replicas (log scale)")
    label_axes(load, "Typists on a replica, on average", "typists", "typists on a replica")
    label_axes(wait, "Time to first token on forefill's replicas", "typists", "ms (log scale)")
    for axes in (cost, load, wait):
        _count_on(axes)
    handles, labels = wait.get_legend_handles_labels()
    more, others = cost.get_legend_handles_labels()
    figure.legend(handles + more, labels + others, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    return figure


def _draw_cost(cost: "Axes", load: "Axes", fleets: Sequence[Fleet]) -> None:
    typists = [fleet.typists for fleet in fleets]
    for arm in SIMULATED_ARMS:
        needed = [replicas for fleet in fleets if (replicas := fleet.needed[arm]) is not None]
        if needed:
            _draw_replicas(cost, load, typists, needed, "-", color=COLOURS[arm], marker=MARKERS[arm])
    for label, line, counts in (
        ("typed, if all replicas had equally many", ":", [fleet.evenly for fleet in fleets]),
        ("typed, if sessions were only hashed", "-.", [fleet.hashed for fleet in fleets]),
    ):
        _draw_replicas(cost, load, typists, counts, line, color=COLOURS["typed"], label=label)
    cost.set_yscale("log")
    load.set_ylim(bottom=0)


def _draw_replicas(
    cost: "Axes", load: "Axes", typists: list[int], replicas: list[int], line: str, **style: Any
) -> None:
    cost.plot(typists, replicas, line, **style)
    load.plot(typists, [ours / theirs for ours, theirs in zip(typists, replicas, strict=True)], line, **style)


def _draw_wait(axes: "Axes", fleets: Sequence[Fleet], target_ms: float) -> None:
    typists = [fleet.typists for fleet in fleets]
    for arm in SIMULATED_ARMS:
        waits = {
            "p50": ([fleet.served[arm].p50_ms for fleet in fleets], "-"),
            "p95": ([fleet.served[arm].p95_ms for fleet in fleets], "--"),
        }
        for name, (values, line) in waits.items():
            axes.plot(typists, values, line, color=COLOURS[arm], marker=MARKERS[arm], label=f"{arm}, {name}")
    axes.axhline(target_ms, color="0.5", linewidth=0.8, label="target")
    axes.set_yscale("log")
    plain_numbers(axes)


def _count_on(axes: "Axes") -> None:
    """Write 10, 1,000, 100,000 along the typists."""
    from matplotlib.ticker import StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.tick_params(axis="x", labelrotation=30)
