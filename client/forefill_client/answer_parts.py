"""The parts of an answer: its text, what the model thinks before it, and the tools that it calls."""

from collections.abc import Iterable
from dataclasses import dataclass

from forefill.v1 import keystroke_pb2 as pb

from .messages import ToolCall


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """The next part of a call of a tool."""

    index: int
    """Number of the call in its answer, from 0."""
    id: str = ""
    """Name of the call; comes once."""
    name: str = ""
    """Name of the function; comes once."""
    arguments: str = ""
    """The next piece of the arguments."""


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """What came of an answer at once; mostly only one of these is there."""

    text: str = ""
    """What it says."""
    reasoning: str = ""
    """What the model thinks; it is no part of the text."""
    tool_calls: tuple[ToolCallPart, ...] = ()
    """The next parts of calls of tools."""


def part_from_wire(delta: pb.GenerationDelta) -> AnswerPart:
    """Convert a message to the part of an answer that it carries."""
    calls = tuple(ToolCallPart(call.index, call.id, call.name, call.arguments) for call in delta.tool_calls)
    return AnswerPart(delta.text, delta.reasoning, calls)


def calls_in(parts: Iterable[AnswerPart]) -> tuple[ToolCall, ...]:
    """Return the calls of tools that the parts of an answer make up."""
    calls: dict[int, ToolCall] = {}
    for piece in (piece for part in parts for piece in part.tool_calls):
        call = calls.get(piece.index, ToolCall("", "", ""))
        calls[piece.index] = ToolCall(call.id or piece.id, call.name + piece.name, call.arguments + piece.arguments)
    return tuple(calls[index] for index in sorted(calls))
