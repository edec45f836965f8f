"""`forefill demo`: the same questions cold, with the base prompt cached, and typed; a table of the waits."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from .client import AsyncClient
from .demo_arms import ARMS, Outcome, Question
from .keystrokes import SAMPLE_QUERIES, SAMPLE_SCHEMA
from .local_server import local_server
from .options import Sampling
from .terminal import Terminal, one_line, pad, write_result

MEAN_DELAY_MS: Final = 60.0
STD_DELAY_MS: Final = 20.0
INSTRUCTIONS: Final = "You write one SQL query that answers the user's question, and nothing else. The schema:\n\n"
QUERY_COLUMNS: Final = 32
ARM_COLUMNS: Final = 8
TOKEN_COLUMNS: Final = 10


@dataclass(frozen=True, slots=True)
class DemoCommand:
    """What is asked of the demo; without a target it starts a server of its own."""

    target: str | None
    json_file: Path | None
    queries: int
    max_tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Row:
    """One query's outcome in each arm."""

    query: str
    outcomes: dict[str, Outcome]

    @property
    def outputs_equal(self) -> bool:
        """Whether all arms gave the same text."""
        return len({outcome.text for outcome in self.outcomes.values()}) == 1


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
    if target is not None:
        yield target
        return
    about = "on a CPU the engine takes about 40 s"
    if not terminal.live:
        terminal.say(f"starting forefill-server; {about}")
    async with local_server(
        lambda seconds: terminal.draw(f"starting forefill-server: {seconds:.0f} s; {about}")
    ) as own:
        yield own
        terminal.draw("stopping forefill-server")


async def _measure(client: AsyncClient, command: DemoCommand, terminal: Terminal) -> list[Row]:
    """Run every query in every arm, one after the other; the order of the arms goes round from query to query."""
    terminal.draw("warming up")
    for arm in ARMS.values():
        await arm(client, _question("Are you ready? ", command, preface="This only wakes the engine up. "))
    rows = []
    for index, query in enumerate(SAMPLE_QUERIES[: command.queries]):
        outcomes: dict[str, Outcome] = {}
        for name in _rotated(list(ARMS), index):
            progress = f"query {index + 1} of {command.queries}, {name}: {one_line(query)}"
            terminal.draw(progress)
            outcomes[name] = await ARMS[name](client, _question(query, command))
            if not terminal.live:
                terminal.say(f"{progress}: {outcomes[name].report.ttft_seconds * 1000:.0f} ms")
        rows.append(Row(query, {name: outcomes[name] for name in ARMS}))
    terminal.clear()
    return rows


def _question(text: str, command: DemoCommand, preface: str = "") -> Question:
    return Question(
        text,
        messages=(("system", preface + INSTRUCTIONS + SAMPLE_SCHEMA),),
        sampling=Sampling(temperature=0.0, max_tokens=command.max_tokens),
        mean_delay_ms=MEAN_DELAY_MS,
        std_delay_ms=STD_DELAY_MS,
        seed=command.seed,
    )


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]


def ttft_ms(outcome: Outcome) -> float:
    """Return the milliseconds from SUBMIT to the first token, at the client."""
    return outcome.report.ttft_seconds * 1000


def medians(rows: list[Row]) -> dict[str, float]:
    """Return each arm's median time to the first token, in milliseconds."""
    return {arm: median(ttft_ms(row.outcomes[arm]) for row in rows) for arm in ARMS}


def as_json(rows: list[Row]) -> dict[str, Any]:
    """Return the demo's results for programs."""
    summary = medians(rows)
    return {
        "queries": [
            {
                "query": row.query,
                "arm": arm,
                "ttft_ms": round(ttft_ms(outcome), 3),
                "prompt_tokens": outcome.report.prompt_tokens,
                "cached_tokens": outcome.report.cached_tokens,
                "text": outcome.text,
            }
            for row in rows
            for arm, outcome in row.outcomes.items()
        ],
        "summary": {arm: {"ttft_ms_median": round(value, 3)} for arm, value in summary.items()},
        "typed_vs_cold": round(summary["cold"] / summary["typed"], 3),
        "outputs_equal": all(row.outputs_equal for row in rows),
    }


def table(rows: list[Row]) -> str:
    """Return the demo's results for people, in at most 100 columns."""
    summary = medians(rows)
    head = [
        pad("", QUERY_COLUMNS) + pad("   time to first token, ms", 3 * ARM_COLUMNS + 3) + "   cached/prompt tokens",
        _line("query", list(ARMS), list(ARMS), "same"),
    ]
    body = [
        _line(
            one_line(row.query),
            [f"{ttft_ms(outcome):.0f}" for outcome in row.outcomes.values()],
            [f"{outcome.report.cached_tokens}/{outcome.report.prompt_tokens}" for outcome in row.outcomes.values()],
            "yes" if row.outputs_equal else "NO",
        )
        for row in rows
    ]
    rule = "-" * max(map(len, head + body))
    foot = _line("median", [f"{value:.0f}" for value in summary.values()], [], "")
    typed = summary["typed"]
    verdict = (
        f"typed answers {summary['cold'] / typed:.1f}x sooner than cold (median),"
        f" {summary['static'] / typed:.1f}x sooner than static."
    )
    legend = (
        "cold: nothing cached. static: the schema cached, as plain prefix caching gives to a second user.\n"
        f"typed: forefill warms while it is typed (a key every {MEAN_DELAY_MS:.0f} ms, faster than people type).\n"
        "same: all three gave the same answer."
    )
    return "\n".join(["", *head, rule, *body, rule, foot.rstrip(), "", verdict, "", legend])


def _line(query: str, times: list[str], tokens: list[str], same: str) -> str:
    cells = [pad(query, QUERY_COLUMNS)]
    cells += [time.rjust(ARM_COLUMNS) for time in times]
    cells += [" "] + [token.rjust(TOKEN_COLUMNS) for token in tokens]
    return "".join(cells) + same.rjust(7)
