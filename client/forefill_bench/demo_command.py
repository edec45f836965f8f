"""`forefill demo`: the same questions cold, with the base prompt cached, and typed; a table of the waits."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

from forefill_client.client import AsyncClient
from forefill_client.keystrokes import SAMPLE_QUERIES, FlushRule, TypingModel
from forefill_client.terminal import Terminal, one_line, write_result

from .demo_arms import DEMO_ARMS, Question, ask
from .live.servers import forefill_server
from .report.results import Served
from .report.rich_tables import fit, table_text
from .typing.script import typed_to_enter
from .typing.texts import SCHEMA_SYSTEM

TYPING: Final = TypingModel(mean_delay_ms=60.0, std_delay_ms=20.0, typo_rate=0.0, flush_rule=FlushRule.WORD)
WIDTHS: Final = (32, 7, 7, 7, 10, 9, 9, 6)


@dataclass(frozen=True, slots=True)
class DemoCommand:
    """The options of the demo; without a target it starts a server of its own."""

    target: str | None
    json_file: Path | None
    queries: int
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Row:
    """One query, served in each arm."""

    query: str
    served: dict[str, Served]

    @property
    def outputs_equal(self) -> bool:
        """Whether all arms gave the same text."""
        return len({served.text for served in self.served.values()}) == 1


async def run(command: DemoCommand) -> int:
    """Measure, print the table, and return the exit status."""
    if command.json_file is not None:
        command.json_file.parent.stat()  # a folder that is not there is better known now than in a minute
    with Terminal() as terminal:
        async with _server(command.target, terminal) as target, AsyncClient.connect(target) as client:
            rows = await _measure(client, command, terminal)
    write_result(table(rows) + "\n")
    if command.json_file is not None:
        command.json_file.write_text(json.dumps(as_json(rows), indent=2) + "\n", encoding="utf-8")
    return 0


@asynccontextmanager
async def _server(target: str | None, terminal: Terminal) -> AsyncIterator[str]:
    async with forefill_server(target, "", terminal) as address:
        yield address
        if target is None:
            terminal.draw("stopping forefill-server")


async def _measure(client: AsyncClient, command: DemoCommand, terminal: Terminal) -> list[Row]:
    """Serve every query in every arm, one after the other; the order of the arms rotates from query to query."""
    terminal.draw("warming up")
    for arm in DEMO_ARMS.values():
        await ask(client, arm, _question("Are you ready? ", command, preface="This only wakes the engine up. "))
    rows = []
    for index, query in enumerate(SAMPLE_QUERIES[: command.queries]):
        served: dict[str, Served] = {}
        for name in _rotated(list(DEMO_ARMS), index):
            progress = f"query {index + 1} of {command.queries}, {name}: {one_line(query)}"
            terminal.draw(progress)
            served[name] = await ask(client, DEMO_ARMS[name], _question(query, command))
            if not terminal.live:
                terminal.say(f"{progress}: {ttft_ms(served[name]):.0f} ms")
        rows.append(Row(query, {name: served[name] for name in DEMO_ARMS}))
    terminal.clear()
    return rows


def _question(text: str, command: DemoCommand, preface: str = "") -> Question:
    script = typed_to_enter(text, TYPING, Random(command.seed))  # noqa: S311 (typing is no secret)
    return Question(script, (("system", preface + SCHEMA_SYSTEM),), command.max_tokens)


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]


def ttft_ms(served: Served) -> float:
    """Return the milliseconds from Enter to the first token, at the client."""
    assert served.ttft_ms is not None  # noqa: S101 (an answer that fails ends the demo)
    return served.ttft_ms


def medians(rows: list[Row]) -> dict[str, float]:
    """Return each arm's median time to the first token, in milliseconds."""
    return {arm: median(ttft_ms(row.served[arm]) for row in rows) for arm in DEMO_ARMS}


def as_json(rows: list[Row]) -> dict[str, Any]:
    """Return the results for programs."""
    summary = medians(rows)
    return {
        "queries": [
            {
                "query": row.query,
                "arm": arm,
                "ttft_ms": round(ttft_ms(served), 3),
                "prompt_tokens": served.prompt_tokens,
                "cached_tokens": served.cached_tokens,
                "text": served.text,
            }
            for row in rows
            for arm, served in row.served.items()
        ],
        "summary": {arm: {"ttft_ms_median": round(value, 3)} for arm, value in summary.items()},
        "typed_vs_cold": round(summary["cold"] / summary["typed"], 3),
        "outputs_equal": all(row.outputs_equal for row in rows),
    }


def table(rows: list[Row]) -> str:
    """Return the results for people, in at most 100 columns."""
    summary = medians(rows)
    groups = " " * WIDTHS[0] + "time to first token, ms".rjust(26).ljust(27) + "   cached/prompt tokens"
    figures = table_text(
        ["query", *DEMO_ARMS, *DEMO_ARMS, "same"],
        [_cells(row) for row in rows],
        widths=WIDTHS,
        foot=["median", *(f"{value:.0f}" for value in summary.values()), "", "", "", ""],
    )
    typed = summary["typed"]
    verdict = (
        f"typed answers {summary['cold'] / typed:.1f}x sooner than cold (median),"
        f" {summary['static'] / typed:.1f}x sooner than static."
    )
    legend = (
        "cold: nothing cached. static: the schema cached, as plain prefix caching gives to a second user.\n"
        "typed: forefill warms while it is typed"
        f" (a key every {TYPING.mean_delay_ms:.0f} ms, faster than people type).\n"
        "same: all three gave the same answer."
    )
    return "\n".join(["", groups, figures, "", verdict, "", legend])


def _cells(row: Row) -> list[str]:
    return [
        fit(one_line(row.query), WIDTHS[0]),
        *(f"{ttft_ms(served):.0f}" for served in row.served.values()),
        *(f"{served.cached_tokens}/{served.prompt_tokens}" for served in row.served.values()),
        "yes" if row.outputs_equal else "NO",
    ]
