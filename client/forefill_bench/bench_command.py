"""`forefill bench`: every workload in every arm, in one run; tables, a result file, plots."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from forefill_client.access_flags import Access
from forefill_client.client import AsyncClient
from forefill_client.errors import ForefillError
from forefill_client.report import Opened
from forefill_client.terminal import Terminal, write_result

from .bench_options import BenchCommand
from .live.clock import Clock
from .live.load import FAILURES, LoadWindow, one_line_of
from .live.plain import openai_client
from .live.servers import forefill_in_front_of, vllm_server
from .live.targets import BenchTargets
from .live.trial import run_trial
from .report import meta
from .report.plots import write_plots
from .report.progress import Progress
from .report.results import BackgroundRow, RequestRow, Served
from .report.summary import Summary, summarise
from .report.table import tables
from .typing.arms import Prepared
from .typing.people import plan_people, sittings_of
from .typing.schedule import Cell, Trial, plan_load, plan_trials, typing_model
from .typing.script import Script
from .typing.texts import Nonces
from .typing.workloads import LOAD, WORKLOADS, is_of_people

Round = tuple[Trial, ...]
"""Trials that are played at the same time."""
SECONDS_A_SUBMIT: Final = 2.0
"""Roughly the time of a SUBMIT with all around it: for the progress bar alone."""


@dataclass(slots=True)
class Rows:
    """The rows measured so far."""

    requests: list[RequestRow] = field(default_factory=list)
    background: list[BackgroundRow] = field(default_factory=list)


async def run(command: BenchCommand) -> int:
    """Measure, print the tables, write the files, and return the exit status."""
    _check(command)
    about = {"started_at": meta.now(), "complete": False, "seed": command.seed, "flags": command.flags}
    about |= {"hardware": meta.hardware(), "versions": meta.versions()}
    rounds, rows = list(_rounds(command, about)), Rows()
    try:
        with Terminal() as terminal:
            for name in filter(is_of_people, command.workloads):
                terminal.say(f"{name}: {about[name]}")
            async with _targets(command, terminal, about) as targets:
                await _measure(targets, rounds, _cells(command), terminal, rows)
        about["complete"] = True
    finally:  # what an hour has measured is kept, whatever ends it
        summary = summarise(rows.requests, rows.background, command.seed)
        if command.json_file is not None and rows.requests:
            command.json_file.write_text(json.dumps(as_json(about, rows, summary), indent=1) + "\n", encoding="utf-8")
    write_result(tables(summary) + "\n")
    if command.plot_prefix is not None:
        for file in write_plots(summary, command.plot_prefix):
            write_result(f"wrote {file}\n")
    return 0 if any(not row.served.error for row in rows.requests) else 1


def as_json(about: dict[str, Any], rows: Rows, summary: Summary) -> dict[str, Any]:
    """Return the run for programs."""
    return {
        "meta": about | {"finished_at": meta.now()},
        "requests": [row.as_json() for row in rows.requests],
        "background": [row.as_json() for row in rows.background],
        "summary": summary,
    }


def _check(command: BenchCommand) -> None:
    """Raise now what would otherwise be raised in an hour."""
    if not any(command.arms_of(workload) for workload in command.workloads):
        raise ForefillError("these workloads have none of these arms: choose others with --workloads and --arms")
    for path in (command.json_file, command.plot_prefix):
        if path is not None:
            path.parent.stat()


@asynccontextmanager
async def _targets(command: BenchCommand, terminal: Terminal, about: dict[str, Any]) -> AsyncIterator[BenchTargets]:
    async with AsyncExitStack() as stack:
        client, opened = await stack.enter_async_context(_connected(command.server.running(terminal)))
        about["model"], about["block_size"] = opened.model, opened.block_size
        about["warming_inert_reason"] = opened.warming_inert_reason
        openai, remote, clock = None, None, Clock()
        if command.needs_endpoint:
            url = command.direct
            if url is None:
                url = await stack.enter_async_context(vllm_server(command.vllm_args, terminal))
            direct = openai_client(url, command.direct_model, clock, api_key=command.direct_key)
            openai = await stack.enter_async_context(direct)
            if command.needs_remote:
                in_front = forefill_in_front_of(url, openai.model, command.direct_key, command.remote, terminal)
                remote, _ = await stack.enter_async_context(_connected(in_front))
        about["direct_model"] = openai.model if openai else None
        yield BenchTargets(client, openai, Nonces(), command.max_tokens, remote, clock)
        terminal.draw("stopping the servers")


@asynccontextmanager
async def _connected(server: AbstractAsyncContextManager[Access]) -> AsyncIterator[tuple[AsyncClient, Opened]]:
    """Yield a client and what the server says at the opening of a session: one that refuses us is known at once."""
    async with server as access, access.connect() as client:
        with access.explaining():
            async with client.session() as session:
                opened = session.opened
        yield client, opened


async def _measure(
    targets: BenchTargets, rounds: list[Round], cells: list[Cell], terminal: Terminal, rows: Rows
) -> None:
    progress = Progress(terminal, sum(map(_round_seconds, rounds)) + sum(map(_cell_seconds, cells)))
    for trials in rounds:
        await _run_round(targets, trials, progress, rows)
    for cell in cells:
        await _run_cell(targets, cell, progress, rows)


def _rounds(command: BenchCommand, about: dict[str, Any]) -> Iterator[Round]:
    """Yield the trials that are played at the same time; `about` gets the source of the messages of people."""
    model = typing_model(command.mean_delay_ms)
    for name in command.workloads:
        workload, arms = WORKLOADS[name], command.arms_of(name)
        if workload.style is not None:
            sittings, about[name] = sittings_of(workload, command.people, command.seed)
            yield from plan_people(workload, arms, sittings, command.people.typists, command.seed)
        elif name != LOAD:
            trials = plan_trials(workload, arms, command.queries, model, command.pause_ms, command.seed)
            yield from ((trial,) for trial in trials)


def _cells(command: BenchCommand) -> list[Cell]:
    if LOAD not in command.workloads:
        return []
    arms, typists = command.arms_of(LOAD), list(command.typists)
    return plan_load(arms, typists, command.rounds, command.pace, command.pause_ms, command.seed)


async def _run_round(targets: BenchTargets, trials: Round, progress: Progress, rows: Rows) -> None:
    try:
        async with asyncio.TaskGroup() as tasks:
            for trial in trials:
                tasks.create_task(_run_trial(targets, trial, len(trials), progress, rows))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    progress.did(_round_seconds(trials))


async def _run_trial(targets: BenchTargets, trial: Trial, typists: int, progress: Progress, rows: Rows) -> None:
    place = f"{trial.workload.name} {trial.index + 1}, {trial.arm.name}" if trial.counted else "waking up"
    progress.draw(place)
    try:
        results = await run_trial(targets, trial)
    except FAILURES as error:
        if not trial.counted:  # what does not work at all ends the run
            raise
        results = [Served(error=one_line_of(error)) for _ in trial.scripts]
    if trial.counted:
        name, arm, index = trial.workload.name, trial.arm.name, trial.index
        for turn, (script, served) in enumerate(zip(trial.scripts, results, strict=True)):
            rows.requests.append(RequestRow(name, typists, arm, _query(trial, script), index, turn, served))
        progress.say(f"{place}: {', '.join(map(_shown, results))}")


def _query(trial: Trial, script: Script) -> str:
    """Return what was asked, but not what a real person typed."""
    draft = script[-1].draft
    return draft if trial.workload.style is None else f"a message of {len(draft)} characters"


async def _run_cell(targets: BenchTargets, cell: Cell, progress: Progress, rows: Rows) -> None:
    place = f"load, {cell.window.typists} typists, {cell.arm.name}"
    progress.draw(place)
    measured = await LoadWindow(targets, cell).run(lambda seconds: progress.draw(place, seconds))
    progress.did(_cell_seconds(cell))
    rows.requests += measured.requests
    rows.background += measured.background
    progress.say(f"{place}: {', '.join(_shown(row.served) for row in measured.requests)}")


def _shown(served: Served) -> str:
    return f"failed ({served.error})" if served.ttft_ms is None else f"{served.ttft_ms:.0f} ms"


def _round_seconds(trials: Round) -> float:
    return max(trial.typing_seconds + SECONDS_A_SUBMIT * len(trial.scripts) for trial in trials)


def _cell_seconds(cell: Cell) -> float:
    prepared = 0 if cell.arm.prepared is Prepared.NOTHING else len(cell.window.sessions)
    return cell.window.ends_ms / 1000 + SECONDS_A_SUBMIT * (1 + prepared)
