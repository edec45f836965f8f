"""`forefill type`: type a text at a server, show what is confirmed and cached meanwhile, and print the answer."""

import dataclasses
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .access_flags import Access
from .answer import Answer
from .errors import ForefillError
from .keystrokes import Stroke, StrokeKind, Trace, TraceWriter
from .options import Sampling
from .outcomes import FinishReason
from .report import FlushResult, Ledger, Report
from .session import Session
from .terminal import Terminal, one_line, printable, write_result
from .typist import type_and_submit


@dataclass(frozen=True, slots=True)
class TypeCommand:
    """What `forefill type` does."""

    trace: Trace
    """What is typed; it ends with SUBMIT."""
    speed: float
    """How many times as fast."""
    record: Path | None
    """The file for a trace of what was typed."""
    access: Access
    system: str | None
    sampling: Sampling
    as_json: bool


async def run(command: TypeCommand) -> int:
    """Run the command and return its exit status."""
    with Terminal() as terminal, ExitStack() as files:
        record = None
        if command.record is not None:
            record = TraceWriter(files.enter_context(command.record.open("w", encoding="utf-8")))
        with command.access.explaining():
            await _run(command, _View(terminal, quiet=command.as_json), record)
        return 0


async def _run(command: TypeCommand, view: "_View", record: TraceWriter | None) -> None:
    async def typed(stroke: Stroke) -> None:
        view.typed(stroke)
        if record is not None:
            record.write(stroke)

    messages = [("system", command.system)] if command.system is not None else []
    async with command.access.connect() as client:
        session = client.session(messages, sampling=command.sampling, auto_flush=False, on_flush=view.flushed)
        async with session:
            view.opened(session)
            answer = await type_and_submit(
                session, command.trace, speed=command.speed, on_stroke=typed, on_delta=view.delta
            )
    if command.as_json:
        write_result(json.dumps(_as_json(command, session, answer, view.results)) + "\n")
    else:
        view.finished(answer.report)
    if _is_empty(answer):
        raise ForefillError("the answer is empty: ask something else, or look at the server's model")


def _is_empty(answer: Answer) -> bool:
    """Whether nothing came. With few tokens, a model may have done no more than think."""
    return not (answer.text_so_far.strip() or answer.reasoning or answer.tool_calls)


_ENDED_BY = {
    FinishReason.STOP: "the model",
    FinishReason.LENGTH: "--max-tokens or the context",
    FinishReason.TOOL_CALLS: "the model, which calls a tool",
    FinishReason.CANCELLED: "a stop",
    FinishReason.UNKNOWN: "the server",
}


class _View:
    """The command's output for people."""

    def __init__(self, terminal: Terminal, *, quiet: bool) -> None:
        self.results: list[FlushResult] = []
        self._terminal = terminal
        self._quiet = quiet
        self._draft = ""
        self._confirmed = 0
        self._cached = 0
        self._answering = False

    def opened(self, session: Session) -> None:
        opened = session.opened
        if self._quiet:
            return
        self._terminal.say(f"{opened.model}: {opened.base_prompt_tokens} tokens come before your text")
        if opened.warming_inert_reason:
            self._terminal.say(f"warming has no effect here: {opened.warming_inert_reason}")

    def typed(self, stroke: Stroke) -> None:
        self._draft = stroke.draft
        if stroke.kind is StrokeKind.FLUSH:
            self._confirmed = stroke.confirmed
        elif stroke.kind is StrokeKind.REPLACE:
            self._confirmed = min(self._confirmed, stroke.start)
        self._confirmed = min(self._confirmed, len(stroke.draft))
        self._draw()

    def flushed(self, result: FlushResult) -> None:
        self.results.append(result)
        self._cached = max(self._cached, result.cached_tokens)
        if self._quiet or self._answering:
            return
        self._draw()
        if not self._terminal.live:
            self._terminal.say(
                f"confirmed {result.confirmed_code_points:3} characters, {result.cached_tokens} of"
                f" {result.stable_tokens} tokens cached: {result.outcome}"
            )

    def delta(self, text: str) -> None:
        if self._quiet:
            return
        if not self._answering:
            self._answering = True
            self._terminal.say(f"> {one_line(self._draft)}")
        write_result(printable(text))

    def finished(self, report: Report) -> None:
        if self._answering:
            write_result("\n")
        ledger = report.ledger
        self._terminal.say("")
        self._terminal.say(
            f"first token after {report.ttft_seconds * 1000:.0f} ms:"
            f" {report.cached_tokens} of {report.prompt_tokens} prompt tokens were cached"
        )
        ended_by = _ENDED_BY[report.finish_reason]
        self._terminal.say(f"{report.completion_tokens} tokens in {report.total_seconds:.2f} s, ended by {ended_by}")
        self._terminal.say(
            f"warmed {ledger.computed_tokens} tokens in {ledger.warms} requests: {ledger.used_tokens} used,"
            f" {ledger.edited_away_tokens} edited away, {ledger.evicted_tokens} evicted,"
            f" {ledger.abandoned_tokens} abandoned"
        )
        if ledger.pregeneration_outcomes:
            self._terminal.say(_begun(ledger))

    def _draw(self) -> None:
        if self._quiet or self._answering:
            return
        self._terminal.draw(one_line(self._draft), f"[{self._cached} tokens cached]", bold=self._confirmed)


def _begun(ledger: Ledger) -> str:
    answers = "answer" if ledger.pregenerations == 1 else "answers"
    outcomes = ", ".join(f"{row.count} {row.outcome}" for row in ledger.pregeneration_outcomes)
    wasted, took = ledger.wasted_engine_ms, ledger.answer_engine_ms
    return (
        f"began {ledger.pregenerations} {answers} before Enter: {outcomes};"
        f" that wasted {wasted:.0f} ms of engine time, and the answer took {took:.0f}"
    )


def _as_json(command: TypeCommand, session: Session, answer: Answer, flushes: list[FlushResult]) -> dict[str, Any]:
    return {
        "text": command.trace[-1].draft,
        "answer": answer.text_so_far,
        "model": session.opened.model,
        "session_id": session.opened.session_id,
        "report": dataclasses.asdict(answer.report),
        "flushes": [dataclasses.asdict(result) for result in flushes],
    }
