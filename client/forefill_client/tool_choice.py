"""Whether answers call tools, in the form that chat completions have for it."""

from collections.abc import Mapping
from typing import Any, Literal

from forefill.v1 import keystroke_pb2 as pb

from .checks import as_mapping
from .errors import InvalidRequest
from .texts import checked_text

ToolChoice = Literal["none", "auto", "required"] | Mapping[str, Any]
"""Whether answers call tools, as in OpenAI's chat completions: "none", "auto", "required", or the function to call,
{"type": "function", "function": {"name": ...}}."""

_MODES = {
    "auto": pb.TOOL_CHOICE_MODE_AUTO,
    "none": pb.TOOL_CHOICE_MODE_NONE,
    "required": pb.TOOL_CHOICE_MODE_REQUIRED,
}
_WORDS: Mapping[int, str] = {mode: word for word, mode in _MODES.items()}
_OF_OLDER_SERVERS = (pb.TOOL_CHOICE_MODE_UNSPECIFIED, pb.TOOL_CHOICE_MODE_AUTO)


def tool_choice_to_wire(choice: ToolChoice | None) -> pb.ToolChoice | None:
    """Return the wire's ToolChoice, None if nothing was chosen; raise InvalidRequest if it is none of those."""
    if choice is None:
        return None
    if isinstance(choice, str) and choice in _MODES:
        return pb.ToolChoice(mode=_MODES[choice])
    if (name := _named(as_mapping(choice))) is None:
        words = '"none", "auto", "required" or {"type": "function", "function": {"name": ...}}'
        raise InvalidRequest(f"tool_choice must be {words}, not {choice!r:.80}", session_continues=True)
    return pb.ToolChoice(function=checked_text(name, "tool_choice"))


def tool_choice_for_openai(choice: pb.ToolChoice) -> str | dict[str, Any] | None:
    """Return a choice as chat completions take it; None if it says nothing."""
    if choice.WhichOneof("choice") == "function":
        return {"type": "function", "function": {"name": choice.function}}
    return _WORDS.get(choice.mode)


def turn_choice(event: pb.KeystrokeEvent) -> pb.ToolChoice | None:
    """Return the choice that an event makes for its own turn; None if it makes none."""
    asks = event.respond if event.HasField("respond") else event.submit
    return asks.tool_choice if asks.HasField("tool_choice") else None


def check_known(choice: pb.ToolChoice | None, *, accepted: bool, session_continues: bool = True) -> None:
    """Raise InvalidRequest if a server that knows no choice would pass over this one."""
    if accepted or choice is None:
        return
    if choice.WhichOneof("choice") == "function" or choice.mode not in _OF_OLDER_SERVERS:
        raise InvalidRequest(
            "the server does not know tool_choice: it is older than this client; leave it out, and the model decides",
            session_continues=session_continues,
        )


def _named(choice: Mapping[str, Any] | None) -> str | None:
    """Return the name of the function that is chosen; None if it is not in this form."""
    if choice is None or choice.get("type", "function") != "function":
        return None
    name = (as_mapping(choice.get("function")) or {}).get("name")
    return name if isinstance(name, str) and name else None
