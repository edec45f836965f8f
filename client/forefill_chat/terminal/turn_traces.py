"""Records what is typed, turn after turn: a trace file for each, since a trace holds one draft.

The first turn goes to the file that was named, such as `chat.jsonl`, the next ones to `chat.2.jsonl`, `chat.3.jsonl`.
A turn whose draft was never begun leaves no file. A file is complete up to the last key, whatever happens next.
"""

from contextlib import ExitStack
from pathlib import Path

from forefill_client.keystrokes import TraceRecorder, TraceWriter


class TurnTraces:
    """The files of one chat. Every method may raise OSError; times are in milliseconds, of any one clock."""

    def __init__(self, first: Path) -> None:
        self._first = first
        self._turn = 1
        self._files = ExitStack()
        self._writer: TraceWriter | None = None
        self._recorder = TraceRecorder()
        self._written = 0
        self._began_at_ms = 0.0

    @property
    def path(self) -> Path:
        """The file of this turn, whether it is there yet or not."""
        if self._turn == 1:
            return self._first
        return self._first.with_name(f"{self._first.stem}.{self._turn}{self._first.suffix}")

    def change(self, draft: str, now_ms: float) -> None:
        """Record the whole draft after an edit."""
        if self._writer is None and draft:
            self._began_at_ms = now_ms
            self._writer = TraceWriter(self._files.enter_context(self.path.open("w", encoding="utf-8")))
        if self._writer is not None:
            self._recorder.change(draft, now_ms - self._began_at_ms)
            self._write_new()

    def submit(self, text: str, now_ms: float) -> None:
        """Record Enter, and begin the next turn."""
        self.change(text, now_ms)
        if self._writer is not None:
            self._writer.write(self._recorder.submit(now_ms - self._began_at_ms)[-1])
            self.close()
            self._turn += 1
            self._recorder, self._written = TraceRecorder(), 0

    def close(self) -> None:
        """Close the file of this turn."""
        self._files.close()
        self._writer = None

    def _write_new(self) -> None:
        trace = self._recorder.trace
        for stroke in trace[self._written :]:
            if self._writer is not None:
                self._writer.write(stroke)
        self._written = len(trace)
