"""One answer: its text as it arrives, then its report."""

from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from forefill.v1 import keystroke_pb2 as pb

from .errors import ForefillError
from .report import Report, report_from_wire


class _Owner(Protocol):
    """The part of an answer's session that it needs."""

    async def until(self, condition: Callable[[], bool]) -> None: ...

    def abandon(self) -> None: ...


class Answer:
    """The answer to one submit: iterate over it once for its text deltas, then read `report`.

    To stop an answer that is still running, break out of the iteration or leave the session's `async with`: the server
    then stops generating. A stream can only be stopped as a whole, so the session ends too: its calls raise Aborted,
    and there is no report. Continue in a new session, with the conversation so far and the text typed meanwhile:

        said = ""
        async for delta in answer:
            said += delta
            if stop_was_pressed():
                break
        ...
        conversation += [("user", answer.submitted_text), ("assistant", said)]
        async with client.session(conversation, draft=session.draft) as session:
            ...

    Cancelling a task that waits for a delta also breaks out of the iteration.
    """

    def __init__(self, owner: _Owner, seq: int, text: str, submitted_at: float) -> None:
        #: Number of the SUBMIT event.
        self.seq = seq
        #: The text that was submitted.
        self.submitted_text = text
        self._owner = owner
        self._submitted_at = submitted_at
        self._started_at: float | None = None
        self._started = pb.GenerationStarted()
        self._deltas: deque[str] = deque()
        self._report: Report | None = None
        self._error: ForefillError | None = None

    @property
    def complete(self) -> bool:
        """Whether the answer has ended or failed: no more text follows."""
        return self._report is not None or self._error is not None

    @property
    def report(self) -> Report:
        """What the answer cost; available after the iteration has ended."""
        if self._report is None:
            raise RuntimeError("the report comes at the end of the answer: iterate over it to the end first")
        return self._report

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while True:
                await self._owner.until(lambda: bool(self._deltas) or self.complete)
                while self._deltas:
                    yield self._deltas.popleft()
                if self._error is not None:
                    raise self._error
                if self._report is not None:
                    return
        finally:
            if not self.complete:
                self._owner.abandon()

    async def text(self) -> str:
        """Wait for the end of the answer and return its remaining text."""
        return "".join([delta async for delta in self])

    def _hear(self, response: pb.ComposeResponse, now: float) -> None:
        match response.WhichOneof("response"):
            case "generation_started":
                self._started, self._started_at = response.generation_started, now
            case "generation_delta":
                self._deltas.append(response.generation_delta.text)
            case "generation_finished":
                self._finish(response.generation_finished, now)

    def _finish(self, finished: pb.GenerationFinished, now: float) -> None:
        first_token_at = now if self._started_at is None else self._started_at
        self._report = report_from_wire(
            self._started,
            finished,
            ttft_seconds=first_token_at - self._submitted_at,
            total_seconds=now - self._submitted_at,
        )

    def _fail(self, error: ForefillError) -> None:
        self._error = error
