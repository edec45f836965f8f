"""An answer that is on its way: what of it the browser has been told, or would have been."""

from dataclasses import dataclass, field
from typing import Any

from forefill_client import AnswerPart, Started

from .replies import Reply, plain


@dataclass(slots=True)
class RunningAnswer:
    """The parts that have come; another socket begins with them."""

    turn: int
    submitted_text: str
    asked_at: float
    started: Reply | None = None
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)

    def start(self, started: Started | None, now: float) -> Reply:
        """Take in that the first token has come, and return the message that says so."""
        self.started = {
            "type": "started",
            "turn": self.turn,
            "source": "unknown" if started is None else plain(started.source),
            "cached_tokens": 0 if started is None else started.cached_tokens,
            "prompt_tokens": 0 if started is None else started.prompt_tokens,
            "ttft_ms": (now - self.asked_at) * 1000,
        }
        return self.started

    def add(self, part: AnswerPart) -> None:
        """Take in a part."""
        self._text.append(part.text)
        self._reasoning.append(part.reasoning)

    def snapshot(self) -> dict[str, Any]:
        """Return what has come so far, as `opened` has it."""
        so_far = {
            "turn": self.turn,
            "submitted_text": self.submitted_text,
            "text": "".join(self._text),
            "reasoning": "".join(self._reasoning),
        }
        return so_far if self.started is None else so_far | {"started": self.started}
