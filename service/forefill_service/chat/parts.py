"""The parts of an answer: what it says, what the model thinks before, and the tools that it calls.

An engine may give an answer as the model wrote it, with marks between its parts. Its chat endpoint then has a splitter
for each answer, which takes the marks away.
"""

from dataclasses import dataclass
from typing import Protocol

from .generation import Output


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool by the model: the function's name, and its arguments as JSON text."""

    id: str
    name: str
    arguments: str


class AnswerSplitter(Protocol):
    """Splits one answer, in the order in which it comes."""

    def split(self, output: Output) -> Output:
        """Return the next part of the answer with its text, its reasoning and its tool calls apart.

        Raises EngineRefused if the answer cannot be split.
        """


def joined(outputs: list[Output]) -> tuple[ToolCall, ...]:
    """Return the tool calls that the parts of an answer make up, in the order of their numbers."""
    calls: dict[int, ToolCall] = {}
    for part in (part for output in outputs for part in output.tool_calls):
        call = calls.get(part.index, ToolCall("", "", ""))
        calls[part.index] = ToolCall(call.id or part.id, call.name + part.name, call.arguments + part.arguments)
    return tuple(calls[index] for index in sorted(calls))
