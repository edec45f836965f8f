"""`forefill demo`: the same typed questions in four arms, one after the other, and a table of the waits."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from forefill_client.client import AsyncClient
from forefill_client.keystrokes import Stroke, StrokeKind
from forefill_client.server_flags import ServerChoice
from forefill_client.terminal import Terminal, one_line, write_result

from .demo_arms import DEMO_ARMS, Question, ask, read
from .demo_questions import typed_question
from .demo_table import Row, as_json, table, ttft_ms
from .live.clock import Clock
from .report.results import Served
from .typing.texts import READY, SCHEMA_SYSTEM

SLOW_MS: Final = 5000.0
"""A slow engine takes longer than this to have the prompt cached."""
QUERIES: Final = 5
QUERIES_IF_SLOW: Final = 3
"""Questions for a slow engine: `make demo` is over within four minutes."""
WAKE_UP: Final = Question(
    (Stroke(0.0, StrokeKind.SUBMIT, READY),), (("system", f"Only wake up. {SCHEMA_SYSTEM}"),), max_tokens=8
)


@dataclass(frozen=True, slots=True)
class DemoCommand:
    """The options of the demo; without `queries` their number is that for the speed of the engine."""

    server: ServerChoice
    json_file: Path | None
    queries: int | None
    max_tokens: int
    seed: int


async def run(command: DemoCommand, clock: Clock | None = None) -> int:
    """Measure, print the table, and return the exit status."""
    if command.json_file is not None:
        command.json_file.parent.stat()  # a folder that is not there is better known now than in a minute
    with Terminal() as terminal:
        async with command.server.running(terminal) as access:
            with access.explaining():
                async with access.connect() as client:
                    rows = await _measure(client, command, terminal, clock or Clock())
    write_result(table(rows) + "\n")
    if command.json_file is not None:
        command.json_file.write_text(json.dumps(as_json(rows), indent=2) + "\n", encoding="utf-8")
    return 0


async def _measure(client: AsyncClient, command: DemoCommand, terminal: Terminal, clock: Clock) -> list[Row]:
    """Serve every question in every arm, one after the other; the order of the arms rotates from one to the next."""
    terminal.draw("warming up")
    reading_ms = await read(client, WAKE_UP, clock)
    queries = command.queries or queries_for(reading_ms)
    rows = []
    for index in range(queries):
        script = typed_question(index, command.seed)
        question = Question(script, (("system", SCHEMA_SYSTEM),), command.max_tokens, reading_ms)
        served: dict[str, Served] = {}
        for name in _rotated(list(DEMO_ARMS), index):
            progress = f"question {index + 1} of {queries}, {name}: {one_line(script[-1].draft)}"
            terminal.draw(progress)
            served[name] = await ask(client, DEMO_ARMS[name], question, clock)
            if not terminal.live:
                terminal.say(f"{progress}: {ttft_ms(served[name]):.0f} ms")
        rows.append(Row(script[-1].draft, {name: served[name] for name in DEMO_ARMS}))
    terminal.clear()
    return rows


def queries_for(reading_ms: float) -> int:
    """Return how many questions to ask an engine that takes this long to have the prompt cached, in milliseconds."""
    return QUERIES if reading_ms <= SLOW_MS else QUERIES_IF_SLOW


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]
