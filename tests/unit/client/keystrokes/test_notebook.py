"""The notebook that forefill grew out of runs on forefill's client, and prints what it printed when it was committed.

Its consumer was a template then, which still runs with only its imports changed.
"""

import ast
import asyncio
import contextlib
import inspect
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from forefill_client.keystrokes import SAMPLE_QUERIES, EventType, KeystrokeEvent, KeystrokeSimulator

mpl.use("Agg")

ROOT = Path(__file__).parents[4]
NOTEBOOK = ROOT / "client" / "notebooks" / "keystroke_simulator.ipynb"
TEMPLATE_CELLS = ROOT / "tests" / "data" / "notebook_template.txt"

WHAT_CHANGES = {
    "from src.events import": "from forefill_client.keystrokes import",
    "from src.keystroke_simulator import": "from forefill_client.keystrokes import",
}

SETUP, IMPORTS, SAMPLE, DEMO, ANALYSIS, TIMELINE, TYPOS, LOADED, BENCHMARK, TEMPLATE, INFERENCE = range(11)
MEASURED = "measured"
"""The tag of cells whose output has measured times, which differ from run to run."""
LARGEST_BYTES = 300_000


@dataclass
class Notebook:
    """What stands in the notebook after its last cell."""

    names: dict[str, Any]
    printed: list[str]
    slept_seconds: float = 0.0


@dataclass(frozen=True)
class Cell:
    """A cell with code, and what was committed of its run."""

    source: str
    tags: tuple[str, ...]
    count: int | None
    outputs: list[dict[str, Any]]

    @property
    def printed(self) -> str:
        return "".join("".join(output["text"]) for output in self.outputs if output["output_type"] == "stream")

    @property
    def images(self) -> int:
        return sum("image/png" in output.get("data", {}) for output in self.outputs)


def committed_cells() -> list[Cell]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [
        Cell("".join(cell["source"]), tuple(cell["metadata"].get("tags", ())), cell["execution_count"], cell["outputs"])
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def template_cells() -> list[str]:
    text = TEMPLATE_CELLS.read_text(encoding="utf-8")
    for before, after in WHAT_CHANGES.items():
        assert before in text
        text = text.replace(before, after)
    return text.split("\n# %%\n")[1:]


async def run_cells(notebook: Notebook, cells: list[str]) -> None:
    for cell in cells:
        code = compile(cell, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            running = eval(code, notebook.names)  # noqa: S307 (how a notebook runs a cell)
            if inspect.isawaitable(running):
                await running
        notebook.printed.append(out.getvalue())


@contextlib.contextmanager
def without_waiting(notebook: Notebook) -> Iterator[None]:
    """Let nothing sleep, and show no figures."""
    yield_to_others = asyncio.sleep

    async def sleep(seconds: float) -> None:
        notebook.slept_seconds += seconds
        await yield_to_others(0)

    with mock.patch.object(asyncio, "sleep", sleep), mock.patch.object(plt, "show"), plt.rc_context():
        yield
    plt.close("all")


@pytest.fixture(scope="module", params=[1, 2, 3], ids="seed {}".format)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    """Run the simulator's cells in order, and the template, with planned luck and without waiting."""
    notebook = Notebook({}, [])
    cells = [cell.source for cell in committed_cells()[: BENCHMARK + 1]]
    planned_luck = mock.patch(
        "forefill_client.keystrokes.simulator.Random", side_effect=lambda _: Random(request.param)
    )
    with without_waiting(notebook), planned_luck:
        asyncio.run(run_cells(notebook, [*cells, *template_cells()]))
    return notebook


@pytest.fixture(scope="module")
def whole_run() -> Notebook:
    """Run every cell in order, the server's too, without waiting for the typist."""
    notebook = Notebook({}, [])
    environment = {name: value for name, value in os.environ.items() if name != "FOREFILL"}
    path = os.pathsep.join(filter(None, sys.path))
    with without_waiting(notebook), mock.patch.dict(os.environ, environment | {"PYTHONPATH": path}, clear=True):
        asyncio.run(run_cells(notebook, [cell.source for cell in committed_cells()]))
    return notebook


def of_type(events: list[KeystrokeEvent], event_type: EventType) -> list[KeystrokeEvent]:
    return [event for event in events if event.event_type is event_type]


def test_all_cells_of_the_simulator_and_of_the_template_ran(notebook: Notebook) -> None:
    assert len(notebook.printed) == INFERENCE + 1
    assert notebook.printed[IMPORTS] == "✓ Imports successful\n"
    assert notebook.printed[TEMPLATE] == "InferenceConsumer template defined ✓\n"


def test_demo_types_the_query_submits_it_and_ends(notebook: Notebook) -> None:
    events, query = notebook.names["events"], notebook.names["sample_query"]
    assert query == "Show me all patients"
    assert [event.char for event in of_type(events, EventType.CHAR_ADD)] == list(query)
    assert [event.event_type for event in events[-2:]] == [EventType.SUBMIT, EventType.END]
    assert events[-2].current_text == events[-2].confirmed_text == query
    assert notebook.names["session"].current_text == query
    assert notebook.names["session"].total_events == len(events)
    assert f"Total events: {len(events)}\nFinal text: '{query}'" in notebook.printed[DEMO]


def test_demo_prints_each_event_with_its_time_and_text(notebook: Notebook) -> None:
    events = notebook.names["events"]
    for event, line in zip(events, notebook.printed[DEMO].splitlines()[: len(events)], strict=True):
        assert f"{event.timestamp_ms:.1f} ms" in line
        assert event.event_type.name in line
        assert repr(event.current_text) in line


def test_analysis_counts_events_and_shows_what_each_flush_confirmed(notebook: Notebook) -> None:
    flushes = of_type(notebook.names["events"], EventType.FLUSH)
    confirmed = [event.confirmed_text for event in flushes]
    assert confirmed == sorted(set(confirmed), key=len)
    assert set(confirmed) <= {"Show ", "Show me ", "Show me all "}
    assert confirmed[-1] == "Show me all "
    counts = dict(re.findall(r"^  (\w+): (\d+)$", notebook.printed[ANALYSIS], re.MULTILINE))
    assert counts == {"CHAR_ADD": "20", "FLUSH": str(len(flushes)), "SUBMIT": "1", "END": "1"}
    assert re.findall(r"confirmed: '(.*)'", notebook.printed[ANALYSIS]) == confirmed


def test_typos_are_made_and_corrected(notebook: Notebook) -> None:
    printed = notebook.printed[TYPOS]
    corrected = re.search(r"Typos corrected: (\d+)", printed)
    assert corrected is not None
    assert int(corrected[1]) == len(re.findall(r" ms  CHAR_DELETE ", printed)) > 0
    assert len(re.findall(r" ms  CHAR_ADD ", printed)) == len("Find patients with diabetes") + int(corrected[1])
    assert printed.endswith("Final text: 'Find patients with diabetes'\n")


def test_sample_queries_are_found_and_loaded(notebook: Notebook) -> None:
    assert notebook.names["queries"] == list(SAMPLE_QUERIES)
    assert notebook.printed[LOADED].startswith(f"Loaded {len(SAMPLE_QUERIES)} sample queries:\n")


def test_benchmark_measures_the_typing_it_planned_not_the_test_clock(notebook: Notebook) -> None:
    stats = notebook.names["stats"]
    assert stats["query"] == SAMPLE_QUERIES[2]
    assert stats["total_events"] >= stats["chars"] + stats["flush_count"] + 2
    assert stats["flush_count"] >= 1
    assert 5 < stats["chars_per_sec"] < 1000 / 120
    assert notebook.printed[BENCHMARK].count("Typing time: ") == 3


def test_the_notebooks_own_consumer_extends_and_submits(notebook: Notebook) -> None:
    printed = notebook.printed[INFERENCE]
    assert printed.count("[FORWARD] Would extend KV-cache with: 'Show '") == 1
    assert "[ROLLBACK]" not in printed
    assert "[SUBMIT] Final text: 'Show patients'" in printed
    assert "[SUBMIT] Cache already has: 'Show '" in printed
    assert "[SUBMIT] Would process remaining: 'patients'" in printed
    assert printed.endswith("[SUBMIT] Ready to generate!\n")


async def test_the_notebooks_own_consumer_rolls_back_when_confirmed_text_is_deleted(
    notebook: Notebook, capsys: pytest.CaptureFixture[str]
) -> None:
    queue: asyncio.Queue[KeystrokeEvent] = asyncio.Queue()
    consumer = notebook.names["InferenceConsumer"](queue)
    simulator = KeystrokeSimulator(queue, debounce_ms=0)
    for char in "Show me ":
        await simulator.type_char(char)
    await asyncio.sleep(0)
    await simulator.delete_char()
    await simulator.submit()
    queue.put_nowait(KeystrokeEvent(EventType.END))
    await consumer.run()
    assert "[FORWARD] Would extend KV-cache with: 'Show me '" in (printed := capsys.readouterr().out)
    assert "[ROLLBACK] Would crop cache from 'Show me ' to 'Show '" in printed
    assert "[SUBMIT] Cache already has: 'Show '" in printed


def test_the_notebook_waited_as_long_as_it_planned(notebook: Notebook) -> None:
    assert notebook.slept_seconds > notebook.names["events"][-1].timestamp_ms / 1000 > 2


# The committed notebook


def test_its_cells_were_run_in_order_and_none_failed() -> None:
    cells = committed_cells()
    assert [cell.count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(output["output_type"] in ("stream", "display_data") for cell in cells for output in cell.outputs)
    assert all(cell.outputs for cell in cells)


def test_every_cell_prints_what_was_committed_but_for_measured_times(whole_run: Notebook) -> None:
    cells = committed_cells()
    assert sum(MEASURED in cell.tags for cell in cells) < len(cells) / 3
    for cell, printed in zip(cells, whole_run.printed, strict=True):
        if MEASURED not in cell.tags:
            assert printed == cell.printed


def test_every_cell_that_draws_has_its_figure() -> None:
    for cell in committed_cells():
        assert cell.images == cell.source.count("plt.show()")


def test_its_consumer_warms_and_is_answered(whole_run: Notebook) -> None:
    consumer = whole_run.names["consumer"]
    assert consumer.answer
    reports = whole_run.names["reports"]
    assert len(reports) == 12
    by_arm = {arm: [report for (_, other), report in reports.items() if other == arm] for _, arm in reports}
    assert all(report.cached_tokens == report.ledger.warms == 0 for report in by_arm["cold"])
    assert all(report.cached_tokens > report.ledger.warms == 0 for report in by_arm["static"])
    assert any(report.ledger.warms > 0 for report in by_arm["warmed"])


def test_it_names_no_machine_and_stays_small() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text.encode()) < LARGEST_BYTES
    assert str(ROOT) not in text
    assert not re.search(r"/(home|root|tmp|Users|work)/", text)
