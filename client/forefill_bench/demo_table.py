"""What the demo prints and writes: a row for each question, the medians, and what they say in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from textwrap import fill
from typing import Any, Final

from forefill_client.keystrokes.human import PUBLISHED_MEAN_MS
from forefill_client.terminal import one_line

from .demo_arms import DEMO_ARMS
from .demo_questions import MEAN_GAP_MS
from .report.differences import COLUMNS, differences_line
from .report.people_table import milliseconds
from .report.results import Served
from .report.rich_tables import fit, table_text

_ARM_WIDTHS: Final = dict(zip(DEMO_ARMS, (6, 6, 6, 8), strict=True))
_COLUMNS: Final = (
    *(("question", 22), *_ARM_WIDTHS.items(), ("begun", 5)),
    *(("prompt", 6), *_ARM_WIDTHS.items(), ("same", 4)),
)
_TIMES: Final = "time to first token, ms"
_TOKENS: Final = "tokens, and those cached"
_GAIN: Final = 1.05
"""What is sooner by less than this factor counts as no gain."""
_PART_TOKENS: Final = 32
"""The part of a prompt whose time is told: a cache block of vLLM on a CPU."""
LEGEND: Final = (
    "cold: nothing cached. static: the schema cached, as plain prefix caching gives to a second user.\n"
    "warmed: forefill with pre-generation off. forefill: forefill as it is by default.\n"
    "begun: the answer of `forefill` was begun before Enter. same: all four gave the same answer.\n"
    "All four press Enter at the same instant of the same typing, with its typos and pauses, but not\n"
    "before the schema can be cached. Each question has another simulated typist, faster than most, so\n"
    f"that the demo is soon over: {MEAN_GAP_MS:.0f} ms from key to key on average, not {PUBLISHED_MEAN_MS:.0f}."
)


@dataclass(frozen=True, slots=True)
class Row:
    """One question, served in each arm."""

    question: str
    served: dict[str, Served]

    @property
    def outputs_equal(self) -> bool:
        """Whether all arms gave the same text."""
        return len({served.text for served in self.served.values()}) == 1

    @property
    def is_begun(self) -> bool:
        """Whether the answer was begun before Enter, in the arm that does so."""
        return self.served["forefill"].is_adopted


def ttft_ms(served: Served) -> float:
    """Return the milliseconds from Enter to the first token, at the client."""
    assert served.ttft_ms is not None  # noqa: S101 (an answer that fails ends the demo)
    return served.ttft_ms


def medians(rows: Sequence[Row]) -> dict[str, float]:
    """Return each arm's median time to the first token, in milliseconds."""
    return {arm: median(ttft_ms(row.served[arm]) for row in rows) for arm in DEMO_ARMS}


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the results for programs."""
    summary = medians(rows)
    return {
        "queries": [
            {
                "query": row.question,
                "arm": arm,
                "ttft_ms": round(ttft_ms(served), 3),
                "begun_before_enter": served.is_adopted,
                "prompt_tokens": served.prompt_tokens,
                "cached_tokens": served.cached_tokens,
                "text": served.text,
            }
            for row in rows
            for arm, served in row.served.items()
        ],
        "summary": {arm: {"ttft_ms_median": round(value, 3)} for arm, value in summary.items()},
        "forefill_vs_cold": round(summary["cold"] / summary["forefill"], 3),
        "forefill_vs_static": round(summary["static"] / summary["forefill"], 3),
        "warmed_vs_static": round(summary["static"] / summary["warmed"], 3),
        "begun_before_enter": sum(row.is_begun for row in rows),
        "outputs_equal": all(row.outputs_equal for row in rows),
    }


def table(rows: Sequence[Row]) -> str:
    """Return the results for people, in at most 100 columns."""
    summary = medians(rows)
    times = _TIMES.rjust(_width(1 + len(DEMO_ARMS)))
    groups = times + _TOKENS.rjust(_width(len(_COLUMNS) - 1) - len(times))
    figures = table_text(
        [name for name, _ in _COLUMNS],
        [_cells(row) for row in rows],
        widths=[width for _, width in _COLUMNS],
        foot=["median", *map(milliseconds, summary.values()), *[""] * (2 + len(DEMO_ARMS) + 1)],
    )
    differing = differences_line([{arm: served.text for arm, served in row.served.items()} for row in rows])
    parts = ["\n".join([groups, figures]), differing, verdict(rows), LEGEND]
    return "\n" + "\n\n".join(part for part in parts if part)


def verdict(rows: Sequence[Row]) -> str:
    """Return in words what the medians say, and why warming alone gains nothing if it does not."""
    summary = medians(rows)
    begun = sum(row.is_begun for row in rows)
    forefill, static, warmed = summary["forefill"], summary["static"], summary["warmed"]
    first = (
        f"forefill answers {_compared(forefill, summary['cold'], 'cold')} and {_compared(forefill, static, 'static')}"
        f" (medians).\n{begun} of {len(rows)} answers were begun before Enter."
    )
    if warmed * _GAIN <= static:
        return f"{first} Without that, warmed answers {_compared(warmed, static, 'static')}."
    return f"{first}\n{_why_no_gain(rows)}"


def _compared(value: float, other: float, name: str) -> str:
    if value <= other:
        return f"{_times(other / value)} sooner than {name}"
    return f"{_times(value / other)} later than {name}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"


def _why_no_gain(rows: Sequence[Row]) -> str:
    """Say what was left to gain by warming alone, from this run's own times."""
    left = {arm: median(_uncached(row.served[arm]) for row in rows) for arm in ("static", "warmed")}
    if left["warmed"] > left["static"]:
        return fill(
            f"warmed alone gains nothing over static here: the engine was not done in time. warmed had"
            f" {left['warmed']:.0f} tokens to compute after Enter, and static {left['static']:.0f}.",
            COLUMNS,
        )
    words = (
        f"of a short question over a cached prompt little is left to gain: static had {left['static']:.0f} tokens to"
        f" compute after Enter, and warmed {left['warmed']:.0f}."
    )
    gaps_ms = [gap for row in rows for gap in row.served["cold"].gaps_ms]
    if gaps_ms:
        step_ms = median(gaps_ms)
        token_ms = median((ttft_ms(row.served["cold"]) - step_ms) / _uncached(row.served["cold"]) for row in rows)
        words = (
            f"a step of this engine takes {step_ms:.0f} ms, and each {_PART_TOKENS} tokens of a prompt"
            f" {token_ms * _PART_TOKENS:.0f} ms more. {words[0].upper()}{words[1:]}"
        )
    return fill(f"warmed alone gains nothing over static here: {words}", COLUMNS)


def _uncached(served: Served) -> int:
    return max(1, served.prompt_tokens - served.cached_tokens)


def _width(columns: int) -> int:
    """Return the width of the first columns of the table, with the spaces between them."""
    return sum(1 + width for _, width in _COLUMNS[:columns]) - 1


def _cells(row: Row) -> list[str]:
    return [
        fit(one_line(row.question), _COLUMNS[0][1]),
        *(milliseconds(ttft_ms(served)) for served in row.served.values()),
        "yes" if row.is_begun else "no",
        str(next(iter(row.served.values())).prompt_tokens),
        *(str(served.cached_tokens) for served in row.served.values()),
        "yes" if row.outputs_equal else "NO",
    ]
