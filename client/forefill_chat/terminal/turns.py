"""The turns of a conversation as the screen shows them: values that the chat changes and the screen reads. Pure."""

from dataclasses import dataclass, field
from enum import Enum

from forefill_client import FinishReason, GenerationSource, Report
from forefill_client.report import Started

from ..ledger_words import ledger_in_words
from ..twin import Twin
from .bars import Wait, milliseconds


class Stage(Enum):
    """How far a turn has come."""

    WAITING = "waiting"
    ANSWERING = "answering"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(slots=True)
class Turn:
    """A question, and what has come of its answer."""

    question: str
    stage: Stage = Stage.WAITING
    text: str = ""
    reasoning: str = ""
    started: Started | None = None
    """How its answer began; None before the first token."""
    report: Report | None = None
    problem: str = ""
    """Why there is no answer, or no more of it."""
    stays: bool = False
    """Whether question and answer are part of the conversation."""
    twin: Twin | None = None
    twin_note: str = ""
    """What there is to say of a measurement that is not there: it runs, or it failed."""
    version: int = field(default=0, compare=False)
    """Goes up with each change, so that only what changed is drawn again."""

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.stage in (Stage.WAITING, Stage.ANSWERING)

    @property
    def wait_ms(self) -> float | None:
        """The wait for the first token, by the client's clock."""
        began = self.report or self.started
        return None if began is None else began.ttft_seconds * 1000

    @property
    def source(self) -> str:
        """Where its first token came from, in a word or two."""
        began = self.report or self.started
        return "" if began is None else _SOURCES[began.source]

    @property
    def ledger(self) -> list[str]:
        """What was computed ahead for it, in sentences."""
        return [] if self.report is None else ledger_in_words(self.report)

    @property
    def footnote(self) -> str:
        """A line below the answer: how it began, and how it ended."""
        if self.wait_ms is None:
            return ""
        first = f"first token after {milliseconds(self.wait_ms)}, {self.source}"
        if self.report is None:
            return first
        return f"{first} · {self.report.completion_tokens} tokens{_ENDINGS.get(self.report.finish_reason, '')}"

    @property
    def waits(self) -> list[Wait]:
        """This answer's wait and those of its twins; none before they are measured."""
        if self.twin is None or self.wait_ms is None:
            return []
        return [
            Wait("nothing cached", self.twin.cold.seconds * 1000),
            Wait("conversation cached", self.twin.static.seconds * 1000),
            Wait("with forefill", self.wait_ms),
        ]

    def changed(self) -> None:
        """Have it drawn again."""
        self.version += 1


_SOURCES = {
    GenerationSource.COLD: "cold",
    GenerationSource.WARM: "warm",
    GenerationSource.PREGENERATED: "begun before Enter",
    GenerationSource.UNKNOWN: "no source named",
}
_ENDINGS = {
    FinishReason.LENGTH: " · cut off at the longest answer or the end of the context",
    FinishReason.CANCELLED: " · stopped",
    FinishReason.TOOL_CALLS: " · ended by a call of a tool, which this chat does not make",
}
