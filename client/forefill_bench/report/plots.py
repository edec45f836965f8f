"""A run's summary as two figures, PNG and SVG; matplotlib is imported only to draw."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..typing.arms import ARMS
from ..typing.workloads import LOAD
from .summary import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Figures = dict[str, Any]

COLOURS: Final = {
    "cold": "#D55E00",
    "static": "#E69F00",
    "naive": "#CC79A7",
    "typed": "#0072B2",
    "pregen": "#009E73",
    "oracle": "#56B4E9",
    "remote": "#888888",
    "direct": "#000000",
}
"""Okabe and Ito's palette, which most people with a colour vision deficiency can tell apart."""
MARKERS: Final = dict(zip(ARMS, "osv^D*PX", strict=True))
GROUP_WIDTH: Final = 0.76
INCHES_A_GROUP: Final = 1.35


def write_plots(summary: Summary, prefix: Path) -> list[Path]:
    """Draw what the summary has, write PREFIX-*.png and PREFIX-*.svg, and return the files."""
    figures = {"ttft": ttft_figure(summary), "neighbours": neighbours_figure(summary)}
    files = []
    for name, figure in figures.items():
        if figure is None:
            continue
        for kind in ("png", "svg"):
            file = prefix.with_name(f"{prefix.name}-{name}.{kind}")
            figure.savefig(file, dpi=150)
            files.append(file)
    return files


def ttft_figure(summary: Summary) -> "Figure | None":
    """Draw the time to the first token of every arm in every workload: the median, and a whisker up to the p95."""
    groups = {
        _group_name(workload, typists): {name: own["ttft_ms"] for name, own in arms.items() if own["ttft_ms"]}
        for workload, cells in summary.items()
        for typists, arms in cells.items()
    }
    groups = {name: arms for name, arms in groups.items() if arms}
    if not groups:
        return None
    figure, (axes,) = new_figure(max(6.0, 1.6 + INCHES_A_GROUP * len(groups)), 4.6, 1)
    for place, arm in enumerate(arm for arm in ARMS if any(arm in arms for arms in groups.values())):
        points = [(index, arms[arm]) for index, arms in enumerate(groups.values()) if arm in arms]
        axes.errorbar(
            [index - GROUP_WIDTH / 2 + GROUP_WIDTH * (place + 0.5) / len(ARMS) for index, _ in points],
            [ttft["p50"] for _, ttft in points],
            yerr=[[0.0] * len(points), [max(0.0, ttft["p95"] - ttft["p50"]) for _, ttft in points]],
            fmt=MARKERS[arm],
            color=COLOURS[arm],
            capsize=3,
            markersize=6,
            label=arm,
        )
    axes.set_yscale("log")
    axes.set_xticks(range(len(groups)), list(groups))
    axes.set_xlim(-0.5, len(groups) - 0.5)
    for edge in range(1, len(groups)):
        axes.axvline(edge - 0.5, color="0.85", linewidth=0.8)
    label_axes(axes, "Time to first token at the client: median, whisker to p95", "", "ms (log scale)")
    plain_numbers(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(ARMS), frameon=False)
    return figure


def neighbours_figure(summary: Summary) -> "Figure | None":
    """Draw the waits of the background traffic, by the number of typists beside it."""
    cells = summary.get(LOAD, {})
    counts = sorted(map(int, cells))
    arms = [arm for arm in ARMS if any("ttft_ms" in _background(cells, count, arm) for count in counts)]
    if not arms:
        return None
    figure, panels = new_figure(11.0, 4.2, 3)
    drawn = (
        ("ttft_ms", "p95", "Time to first token, p95"),
        ("gap_ms", "p99", "Gap between tokens, p99"),
        ("answer_ms", "mean", "Whole answer, mean"),
    )
    for axes, (what, figure_name, title) in zip(panels, drawn, strict=True):
        for arm in arms:
            points = [(count, own[what]) for count in counts if what in (own := _background(cells, count, arm))]
            low_high = [point[f"{figure_name}_interval"] for _, point in points]
            values = [point[figure_name] for _, point in points]
            axes.errorbar(
                [counts.index(count) + 0.06 * (arms.index(arm) - len(arms) / 2) for count, _ in points],
                values,
                yerr=[
                    [max(0.0, value - low) for value, (low, _) in zip(values, low_high, strict=True)],
                    [max(0.0, high - value) for value, (_, high) in zip(values, low_high, strict=True)],
                ],
                marker=MARKERS[arm],
                color=COLOURS[arm],
                linewidth=1.2,
                elinewidth=0.8,
                capsize=2,
                label=arm,
            )
        axes.set_xticks(range(len(counts)), [str(count) for count in counts])
        axes.set_ylim(bottom=0)
        label_axes(axes, title, "typists", "ms")
    figure.suptitle("Plain generations beside typists (bars: 95 % bootstrap intervals)", fontsize=11)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(ARMS), frameon=False)
    return figure


def _background(cells: dict[str, dict[str, Figures]], typists: int, arm: str) -> Figures:
    figures: Figures = cells[str(typists)].get(arm, {}).get("background", {})
    return figures


def _group_name(workload: str, typists: str) -> str:
    return f"{workload}\n{typists} typist{'s' * (typists != '1')}" if workload == LOAD else workload


def new_figure(width: float, height: float, panels: int) -> "tuple[Figure, list[Axes]]":
    """Return a figure of that size, in inches, and its panels from left to right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, [figure.add_subplot(1, panels, 1 + panel) for panel in range(panels)]


def label_axes(axes: "Axes", title: str, x: str, y: str) -> None:
    """Give a panel its title and labels, and no more lines than it needs."""
    axes.set_title(title, fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(axis="y", which="major", color="0.88", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def plain_numbers(axes: "Axes") -> None:
    """Write 10, 20, 50, 100 ... on a log axis."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
