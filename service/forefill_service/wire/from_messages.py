"""Conversion of the client's messages to events: the edge that checks everything once."""

import re
import sys
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

from forefill.v1 import keystroke_pb2 as pb
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Struct

from ..chat.messages import MOST_MESSAGES, ChatMessage, ToolCall, count_messages
from ..chat.tool_choice import WantedChoice, allowed
from ..errors import Reason, Refusal
from ..serving.content_limits import held_bytes
from ..session.events import (
    CacheScope,
    Cancel,
    CharAdd,
    CharDelete,
    End,
    Flush,
    HandOff,
    HandOffFinished,
    Hint,
    KeystrokeEvent,
    Kind,
    Open,
    PregenerationMode,
    Replace,
    ReportedUsage,
    Respond,
    Rewrite,
    Submit,
    Unknown,
    WarmMode,
    fingerprint,
)
from .chat import documents_from, message_from, reasoning_effort_from, tool_choice_from, tools_from
from .sampling import optional, sampling_from

_SESSION_KEY = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SECRET_BYTES = 16, 64
_MOST_ADAPTER_CODE_POINTS = 256
_MOST_NAME_CODE_POINTS = 256
_ANY_CALL = ToolCall("", "", "")
_MOST_KWARGS_BYTES = 64 * 1024
_MOST_KWARGS_VALUES = 1024
"""Keys count, too. An idle session keeps the variables of its template, and an empty list takes four bytes here."""
_MOST_RESUME_TOKEN_BYTES = 256

_WARM_MODES = {
    pb.WARM_MODE_UNSPECIFIED: WarmMode.AUTO,
    pb.WARM_MODE_AUTO: WarmMode.AUTO,
    pb.WARM_MODE_OFF: WarmMode.OFF,
}
_PREGENERATION_MODES = {
    pb.PREGENERATION_MODE_UNSPECIFIED: PregenerationMode.AUTO,
    pb.PREGENERATION_MODE_AUTO: PregenerationMode.AUTO,
    pb.PREGENERATION_MODE_OFF: PregenerationMode.OFF,
    pb.PREGENERATION_MODE_ON: PregenerationMode.ON,
}
_CACHE_SCOPES = {
    pb.CACHE_SCOPE_UNSPECIFIED: None,
    pb.CACHE_SCOPE_SHARED: CacheScope.SHARED,
    pb.CACHE_SCOPE_SESSION: CacheScope.SESSION,
}
_MODES: dict[str, Container[int]] = {
    "warm_mode": _WARM_MODES,
    "cache_scope": _CACHE_SCOPES,
    "pregeneration_mode": _PREGENERATION_MODES,
}


def event_from(request: pb.ComposeRequest, most_held_bytes: int = sys.maxsize) -> Open | KeystrokeEvent | Unknown:
    """Convert a message to an event; what a session keeps of its Open may take so many bytes of memory.

    It takes the longer the larger the message is. Raises Refusal (INVALID_OPEN, INVALID_SAMPLING or INVALID_TOOLS),
    which ends the stream.
    """
    match request.WhichOneof("request"):
        case "open":
            opening = _open(request.open)
            opening = replace(opening, fingerprint=fingerprint(opening))
            if (size := held_bytes(opening)) > most_held_bytes:
                raise Refusal(
                    Reason.INVALID_OPEN, f"the session would hold {size} bytes of it, and {most_held_bytes} are allowed"
                )
            return opening
        case "event":
            kind = request.event.WhichOneof("kind")
            read = _KINDS.get(kind) if kind else None
            return KeystrokeEvent(request.event.seq, read(getattr(request.event, kind)) if kind and read else Unknown())
        case _:
            return Unknown()


_KINDS: dict[str, Callable[[Any], Kind]] = {
    "char_add": lambda m: CharAdd(m.text),
    "char_delete": lambda m: CharDelete(m.count or 1),
    "replace": lambda m: Replace(m.start, m.end, m.text),
    "flush": lambda m: Flush(m.draft_code_points, m.draft_crc32, optional(m, "confirmed_code_points")),
    "hint": lambda m: Hint(m.submit_likely),
    "submit": lambda m: Submit(optional(m, "text"), m.answer_so_far, _tool_choice(m)),
    "respond": lambda m: Respond(m.answer_so_far, _tool_choice(m)),
    "cancel": lambda m: Cancel(m.keep_text),
    "rewrite": lambda m: Rewrite(m.keep_messages, _messages(m.messages)),
    "hand_off": lambda m: HandOff(optional(m, "text"), _tool_choice(m)),
    "hand_off_finished": lambda m: HandOffFinished(_messages(m.messages), _reported_usage(m)),
    "end": lambda m: End(),
}


def _open(message: pb.Open) -> Open:
    if message.session_key and not _SESSION_KEY.fullmatch(message.session_key):
        raise Refusal(Reason.INVALID_OPEN, "session_key must be 1 to 128 characters of [A-Za-z0-9._-]")
    if len(message.resume_token) > _MOST_RESUME_TOKEN_BYTES:
        raise Refusal(Reason.INVALID_OPEN, "resume_token is none that a server gives")
    if len(message.adapter) > _MOST_ADAPTER_CODE_POINTS:
        raise Refusal(Reason.INVALID_OPEN, f"adapter must have at most {_MOST_ADAPTER_CODE_POINTS} code points")
    if len(message.draft_name) > _MOST_NAME_CODE_POINTS:
        raise Refusal(Reason.INVALID_OPEN, f"draft_name must have at most {_MOST_NAME_CODE_POINTS} code points")
    messages = _messages(message.messages)
    if count_messages(messages) > MOST_MESSAGES:
        raise Refusal(Reason.INVALID_OPEN, f"it has more than {MOST_MESSAGES} messages and calls of tools")
    if not all(said.role for said in messages):
        raise Refusal(Reason.INVALID_OPEN, 'every message needs a role, for example "system"')
    for name, known in _MODES.items():
        if (value := getattr(message, name)) not in known:
            raise Refusal(Reason.INVALID_OPEN, f"this server does not know {name} {value}")
    tools, sampling = tools_from(message.tools), sampling_from(message.sampling)
    return Open(
        messages=messages,
        sampling=sampling,
        draft=message.draft,
        warm_mode=_WARM_MODES[message.warm_mode],
        session_key=message.session_key,
        chat_template_kwargs=_template_variables(message.chat_template_kwargs),
        cache_scope=_CACHE_SCOPES[message.cache_scope],
        pregeneration_mode=_PREGENERATION_MODES[message.pregeneration_mode],
        resume_token=message.resume_token,
        cache_secret=_cache_secret(message),
        tools=tools,
        documents=documents_from(message.documents),
        reasoning_effort=reasoning_effort_from(message.reasoning_effort),
        continue_final_message=message.continue_final_message,
        adapter=message.adapter,
        tool_choice=allowed(tool_choice_from(message.tool_choice), tools, sampling.structure),
        draft_name=message.draft_name or None,
        parallel_tool_calls=optional(message, "parallel_tool_calls") is not False,
        report_pregenerations=message.report_pregenerations,
    )


def _tool_choice(message: pb.Submit | pb.Respond | pb.HandOff) -> WantedChoice | None:
    """Convert the choice of one turn; None if it has none of its own."""
    return tool_choice_from(message.tool_choice) if message.HasField("tool_choice") else None


def _cache_secret(message: pb.Open) -> bytes:
    shortest, longest = _SECRET_BYTES
    secret = message.cache_secret
    if secret and not shortest <= len(secret) <= longest:
        raise Refusal(Reason.INVALID_OPEN, f"cache_secret must have {shortest} to {longest} bytes")
    if secret and message.cache_scope != pb.CACHE_SCOPE_SESSION:
        raise Refusal(Reason.INVALID_OPEN, "cache_secret needs CACHE_SCOPE_SESSION")
    return secret


def _reported_usage(message: pb.HandOffFinished) -> ReportedUsage:
    return ReportedUsage(*(optional(message, name) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")))


def _messages(messages: Iterable[pb.ChatMessage]) -> tuple[ChatMessage, ...]:
    """Convert messages; of more than a conversation may have, only as many as show that there are too many."""
    converted: list[ChatMessage] = []
    count = 0
    for message in messages:
        count += 1 + len(message.tool_calls)
        if count > MOST_MESSAGES:
            converted.append(ChatMessage(message.role, "", tool_calls=(_ANY_CALL,) * len(message.tool_calls)))
            break
        converted.append(message_from(message))
    return tuple(converted)


def _template_variables(kwargs: Struct) -> Mapping[str, Any]:
    """Convert the variables of the template, once it is known that they are not too many."""
    if (size := kwargs.ByteSize()) > _MOST_KWARGS_BYTES:
        raise Refusal(
            Reason.INVALID_OPEN, f"chat_template_kwargs has {size} bytes, and {_MOST_KWARGS_BYTES} are allowed"
        )
    if _has_more_values(kwargs, _MOST_KWARGS_VALUES):
        raise Refusal(Reason.INVALID_OPEN, f"chat_template_kwargs has more than {_MOST_KWARGS_VALUES} keys and values")
    try:
        variables: Mapping[str, Any] = _with_integers(json_format.MessageToDict(kwargs))
    except ValueError as error:
        raise Refusal(
            Reason.INVALID_OPEN, "chat_template_kwargs contains NaN or infinity, which JSON does not allow"
        ) from error
    return variables


def _has_more_values(kwargs: Struct, most: int) -> bool:
    """Return whether there are more keys and values on all levels than so many."""
    count, rest = len(kwargs.fields), [*kwargs.fields.values()]
    while rest and count <= most:
        count += 1
        match (value := rest.pop()).WhichOneof("kind"):
            case "struct_value":
                count += len(value.struct_value.fields)
                rest += value.struct_value.fields.values()
            case "list_value":
                rest += value.list_value.values
    return count > most


def _with_integers(value: Any) -> Any:
    """Return JSON data with whole numbers as int: a Struct has only floats, and templates print them."""
    match value:
        case dict():
            return {key: _with_integers(item) for key, item in value.items()}
        case list():
            return [_with_integers(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
