"""One answer: its parts as they arrive, then its report."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Self

from forefill.v1 import keystroke_pb2 as pb

from .answer_parts import AnswerPart, calls_in, part_from_wire
from .errors import ForefillError, GenerationInterrupted
from .logprobs import TokenLogprobs, logprobs_from_wire
from .messages import ToolCall
from .outcomes import FinishReason
from .report import Report, Started, report_from_wire, started_from_wire
from .tool_choice import turn_choice

Until = Callable[[Callable[[], bool]], Awaitable[None]]
"""Waits until a condition holds, or raises why the session has ended."""


class Answer:
    """The answer to one submit, or to the conversation: iterate over it once for its text deltas, then read `report`.

    If the model thinks before it answers, or calls tools, and the server splits that off (`Opened.splits_answers`),
    iterate over `parts()` instead, or read `reasoning` and `tool_calls` in the end.

    `cancel` stops it, from any task: the iteration ends, and the session goes on with the next turn. To break out of
    the iteration, or to cancel the task that iterates, stops it too; what came of it stays in the conversation.
    """

    seq: int
    """Number of the event that asked for it."""
    submitted_text: str
    """The text that was submitted; "" if the conversation was to be answered as it was (`Session.respond`)."""
    resumed: int
    """How often it went on on another stream."""

    def __init__(
        self, until: Until, cancel: Callable[[bool], None], asked: pb.KeystrokeEvent, submitted_at: float
    ) -> None:
        self.seq = asked.seq
        self.submitted_text = asked.submit.text
        self._choice = turn_choice(asked)
        self.resumed = 0
        self._until = until
        self._send_cancel = cancel
        self._submitted_at = submitted_at
        self._started_at: float | None = None
        self._started = pb.GenerationStarted()
        self._unread: deque[AnswerPart] = deque()
        self._heard: list[AnswerPart] = []
        self._logprobs: list[TokenLogprobs] = []
        self._keeps_text: bool | None = None
        self._report: Report | None = None
        self._error: ForefillError | None = None

    def __repr__(self) -> str:
        state = "complete" if self._report else "failed" if self._error else "running"
        return f"<Answer {self.seq}, {state}: {len(self.text_so_far)} code points>"

    @property
    def complete(self) -> bool:
        """Whether the answer has ended or failed: no more text follows."""
        return self._report is not None or self._error is not None

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled, or is being cancelled. It may have been complete before the server knew."""
        return self._keeps_text is not None

    @property
    def stays(self) -> bool:
        """Whether it is part of the conversation: it is complete, or was cancelled and what came of it is kept."""
        if self._report is None:
            return False
        return self._report.finish_reason is not FinishReason.CANCELLED or bool(self._keeps_text and self.text_so_far)

    @property
    def started(self) -> Started | None:
        """How it began; None before its first token has come."""
        if self._started_at is None:
            return None
        return started_from_wire(self._started, self._started_at - self._submitted_at)

    @property
    def report(self) -> Report:
        """What the answer cost; available after the iteration has ended."""
        if self._report is None:
            raise RuntimeError("the report comes at the end of the answer: iterate over it to the end first")
        return self._report

    def __aiter__(self) -> AsyncIterator[str]:
        return _Texts(self)

    def parts(self) -> AsyncIterator[AnswerPart]:
        """Iterate over all of it, in place of its text alone: text, reasoning and calls of tools, as they come."""
        return _Parts(self)

    async def cancel(self, *, keep_text: bool = True) -> None:
        """Stop the answer, and wait until the server has stopped: a step of the engine later.

        With `keep_text`, what came of it stays in the conversation, as the answer to the text that was submitted;
        without, or if nothing came, the conversation is as it was before `submit`. An answer that was complete by then
        stays. If it was cancelled before, this only waits. May raise the error that ended the session.
        """
        self._cancel(keep_text=keep_text)
        await self._until(lambda: self.complete)

    @property
    def text_so_far(self) -> str:
        """All of its text that has come, read or not."""
        return "".join(part.text for part in self._heard)

    @property
    def reasoning(self) -> str:
        """What the model thought, as far as it has come; "" if it does not, or the server does not split it off."""
        return "".join(part.reasoning for part in self._heard)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls of tools, as far as they have come; to call them is for you."""
        return calls_in(self._heard)

    @property
    def _begun(self) -> bool:
        """Whether anything of it has come."""
        return bool(self._heard)

    @property
    def _only_text(self) -> bool:
        """Whether all that has come of it is text."""
        return not any(part.reasoning or part.tool_calls for part in self._heard)

    @property
    def logprobs(self) -> tuple[TokenLogprobs, ...]:
        """All of its tokens that have come, with their probabilities; none unless `Sampling.logprobs` asks for them.

        A token may come before its text, if that is held back. If the answer went on on another stream, a token
        may be split there.
        """
        return tuple(self._logprobs)

    async def text(self) -> str:
        """Wait for the end of the answer and return its remaining text."""
        return "".join([delta async for delta in self])

    async def _next(self) -> AnswerPart:
        await self._until(lambda: bool(self._unread) or self.complete)
        if self._unread:
            return self._unread.popleft()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    def _cancel(self, *, keep_text: bool) -> None:
        if not self.complete and not self.cancelled:
            self._keeps_text = keep_text
            self._send_cancel(keep_text)

    def _hear(self, response: pb.ComposeResponse, now: float) -> None:
        match response.WhichOneof("response"):
            case "generation_started":
                self._started = response.generation_started
                self._started_at = now if self._started_at is None else self._started_at
            case "generation_delta":
                self._logprobs.extend(logprobs_from_wire(response.generation_delta))
                part = part_from_wire(response.generation_delta)
                if part != AnswerPart():
                    self._unread.append(part)
                    self._heard.append(part)
            case "generation_finished":
                self._finish(response.generation_finished, now)
            case _:
                pass

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

    def _resume(self, seq: int) -> None:
        """Go on on another stream, where the submit has another number."""
        self.seq = seq
        self.resumed += 1
        if not self._begun:  # it is asked for from its beginning, with the tokens whose text was still held back
            self._logprobs.clear()


class _Parts:
    """One iteration over an answer: who leaves it before the end, or is cancelled in it, cancels the answer.

    It is no generator, since one that is left is closed only later: the next `submit` would find the answer running.
    """

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AnswerPart:
        try:
            return await self._answer._next()
        except asyncio.CancelledError:
            self._answer._cancel(keep_text=True)
            raise

    def __del__(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._answer._cancel(keep_text=True)


class _Texts:
    """One iteration over the text of an answer."""

    def __init__(self, answer: Answer) -> None:
        self._parts = _Parts(answer)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not (part := await anext(self._parts)).text:
            pass
        return part.text


def interrupted(answer: Answer, cause: str) -> ForefillError:
    """Return the error of an answer whose connection was lost, with what came of it."""
    error = GenerationInterrupted(
        f"the connection was lost in mid-answer ({cause}); the session goes on: keep what came, or submit again",
        session_continues=True,
        seq=answer.seq,
    )
    error.text = answer.text_so_far
    return error


def continuable(sampling: pb.Sampling) -> bool:
    """Tell whether a second request can continue an answer as the first one would have."""
    greedy = sampling.HasField("temperature") and sampling.temperature == 0
    penalized = sampling.presence_penalty or sampling.frequency_penalty
    seeded = sampling.HasField("seed") and not greedy
    return not (penalized or sampling.stop or sampling.bad_words or seeded or sampling.WhichOneof("structure"))
