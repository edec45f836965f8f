"""The parts of an answer: what it says, what the model thinks before, and the tools that it calls.

An engine may give an answer as the model wrote it, with marks between its parts. Its chat endpoint then has a splitter
for each answer, which takes the marks away.
"""

from collections.abc import Iterable
from typing import Protocol

from .generation import Output, ToolCallPart
from .messages import ToolCall


class AnswerSplitter(Protocol):
    """Splits one answer, in the order in which it comes."""

    def split(self, output: Output) -> Output:
        """Return the next part of the answer with its text, its reasoning and its tool calls apart.

        Raises EngineRefused if the answer cannot be split.
        """


def joined(parts: Iterable[ToolCallPart]) -> tuple[ToolCall, ...]:
    """Return the calls that these parts make up, in the order of their numbers."""
    calls: dict[int, ToolCall] = {}
    for part in parts:
        call = calls.get(part.index, ToolCall("", "", ""))
        calls[part.index] = ToolCall(call.id or part.id, call.name + part.name, call.arguments + part.arguments)
    return tuple(calls[index] for index in sorted(calls))
