"""Whether answers call tools, in the words of chat completions, and whether a session's tools allow what is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import Reason, Refusal
from .generation import Structure


@dataclass(frozen=True, slots=True)
class NamedTool:
    """The tool that an answer has to call."""

    name: str


@dataclass(frozen=True, slots=True)
class UnknownMode:
    """A choice that only a newer server knows, by its number on the wire."""

    number: int


ToolChoice = Literal["none", "auto", "required"] | NamedTool
"""Whether an answer calls tools."""
WantedChoice = ToolChoice | UnknownMode
"""What a client asks for."""


def requires_a_call(choice: ToolChoice) -> bool:
    """Return whether an answer has to call a tool."""
    return choice == "required" or isinstance(choice, NamedTool)


def allowed(wanted: WantedChoice, tools: Sequence[Mapping[str, Any]], structure: Structure | None) -> ToolChoice:
    """Return the choice if there are tools for it, and no structure of the session's own forbids it.

    Raises Refusal (INVALID_TOOLS).
    """
    if isinstance(wanted, UnknownMode):
        raise Refusal(Reason.INVALID_TOOLS, f"this server does not know tool_choice.mode {wanted.number}")
    if isinstance(wanted, NamedTool) and wanted.name not in (tool["function"]["name"] for tool in tools):
        raise Refusal(Reason.INVALID_TOOLS, "tool_choice.function is the name of none of the tools")
    if wanted == "required" and not tools:
        raise Refusal(Reason.INVALID_TOOLS, "tool_choice requires a call, and there are no tools")
    if structure is not None and requires_a_call(wanted):
        raise Refusal(Reason.INVALID_TOOLS, f"tool_choice requires a call, so the answer has no {structure.name}")
    return wanted
