"""An answer without await."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

from .answer import Answer
from .answer_parts import AnswerPart
from .client_portal import ClientClosed
from .logprobs import TokenLogprobs
from .messages import ToolCall
from .portal import Portal
from .report import Report, Started

T = TypeVar("T")


class SyncAnswer:
    """The answer to one submit, as `Answer`, without await: iterate over it for its text deltas, then read `report`."""

    def __init__(self, portal: Portal, answer: Answer) -> None:
        self._portal = portal
        self._answer = answer

    def __repr__(self) -> str:
        return repr(self._answer).replace("<Answer", "<SyncAnswer")

    @property
    def seq(self) -> int:
        """Number of the event that asked for it."""
        return self._answer.seq

    @property
    def submitted_text(self) -> str:
        """The text that was submitted. See `Answer.submitted_text`."""
        return self._answer.submitted_text

    @property
    def resumed(self) -> int:
        """How often it went on on another stream."""
        return self._answer.resumed

    @property
    def complete(self) -> bool:
        """Whether the answer has ended or failed: no more text follows."""
        return self._answer.complete

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled, or is being cancelled. See `Answer.cancelled`."""
        return self._answer.cancelled

    @property
    def stays(self) -> bool:
        """Whether it is part of the conversation. See `Answer.stays`."""
        return self._answer.stays

    @property
    def started(self) -> Started | None:
        """How it began; None before its first token has come."""
        return self._answer.started

    @property
    def report(self) -> Report:
        """What the answer cost; available after the iteration has ended."""
        return self._answer.report

    @property
    def text_so_far(self) -> str:
        """All of its text that has come, read or not."""
        return self._answer.text_so_far

    @property
    def logprobs(self) -> tuple[TokenLogprobs, ...]:
        """All of its tokens that have come, with their probabilities. See `Answer.logprobs`."""
        return self._answer.logprobs

    def __iter__(self) -> Iterator[str]:
        return self._iterated(lambda: aiter(self._answer))

    def parts(self) -> Iterator[AnswerPart]:
        """Iterate over all of it, in place of its text alone. See `Answer.parts`."""
        return self._iterated(self._answer.parts)

    @property
    def reasoning(self) -> str:
        """What the model thought, as far as it has come. See `Answer.reasoning`."""
        return self._answer.reasoning

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls of tools, as far as they have come. See `Answer.tool_calls`."""
        return self._answer.tool_calls

    def _iterated(self, begin: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        items = begin()  # here, so that an iteration that never starts is none

        async def step() -> T | None:
            return await anext(items, None)

        try:
            while (item := self._portal.run(step())) is not None:
                yield item
        finally:
            with contextlib.suppress(ClientClosed):
                self._portal.call(lambda: self._answer._cancel(keep_text=True))

    def cancel(self, *, keep_text: bool = True) -> None:
        """Stop the answer, and wait until the server has stopped. See `Answer.cancel`."""
        self._portal.run(self._answer.cancel(keep_text=keep_text))

    def text(self) -> str:
        """Wait for the end of the answer and return its remaining text."""
        return self._portal.run(self._answer.text())
