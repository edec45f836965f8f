"""Bodies of chat completions as applications write them, before the draft: each uses another part of what there is."""

from collections.abc import Mapping
from typing import Any

from forefill.v1 import keystroke_pb2 as pb
from forefill_client import CacheScope, PregenerationMode, WarmMode
from forefill_client.options import open_request
from forefill_service.chat.messages import Conversation
from forefill_service.session.events import Open
from forefill_service.wire.from_messages import event_from

Body = Mapping[str, Any]

_BEDS = {
    "type": "function",
    "function": {
        "name": "count_beds",
        "description": "Count the free beds – “now”.",
        "parameters": {
            "type": "object",
            "properties": {
                "ward": {"type": "string", "enum": ["cardiology", "Innere <I>"], "description": "The ward"},
                "least": {"type": "number", "default": 1.0, "minimum": 0},
                "at": {"type": ["string", "null"], "default": None},
            },
            "required": ["ward"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
_NOW = {"type": "function", "function": {"name": "now", "description": "Tell the time"}, "more": "is dropped"}
_PLAIN = {"type": "function", "function": {"name": "plain", "parameters": {}}}


def _call(number: int, name: str, arguments: str) -> dict[str, Any]:
    return {"id": f"call{number:05}", "type": "function", "function": {"name": name, "arguments": arguments}}


def _result(number: int, content: str, **more: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"call{number:05}", "content": content, **more}


def _said(role: str, content: str | None, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


_SYSTEM = _said("system", "You answer questions about a clinic.")
_ASKED = _said("user", "How many beds are free?")
_CALLED = _said("assistant", None, tool_calls=[_call(1, "count_beds", '{"ward": "Innere <I>", "least": 2.0}')])
_BOTH = [_call(1, "count_beds", '{"ward":"cardiology","at":null}'), _call(2, "now", "{}")]

BODIES: Mapping[str, Body] = {
    "tools": {"messages": [_SYSTEM], "tools": [_BEDS, _NOW]},
    "tools without a system prompt": {"messages": [], "tools": [_BEDS]},
    "a tool without a description": {"messages": [_SYSTEM], "tools": [_PLAIN]},
    "a call and its result": {
        "messages": [_SYSTEM, _ASKED, _CALLED, _result(1, '{"free": 3}'), _said("assistant", "Three.")],
        "tools": [_BEDS],
    },
    "a result with a name": {
        "messages": [_ASKED, _CALLED, _result(1, "3", name="count_beds"), _said("assistant", "Three.")],
        "tools": [_BEDS],
    },
    "two calls and a text": {
        "messages": [
            _SYSTEM,
            _ASKED,
            _said("assistant", "Let me see.", tool_calls=_BOTH),
            _result(1, "3"),
            _result(2, "noon"),
            _said("assistant", "Three, at noon."),
        ],
        "tools": [_BEDS, _NOW],
    },
    "calls without tools": {"messages": [_ASKED, _CALLED, _result(1, "3"), _said("assistant", "Three.")]},
    "arguments that are no JSON": {
        "messages": [_ASKED, _said("assistant", None, tool_calls=[_call(1, "now", "{noon")]), _result(1, "x")],
        "tools": [_NOW],
    },
    "thoughts": {
        "messages": [
            _SYSTEM,
            _ASKED,
            _said("assistant", "Three.", reasoning="They ask for beds.\n"),
            _said("user", "Why?"),
            _said("assistant", "I counted."),
        ]
    },
    "thoughts before a call": {
        "messages": [
            _ASKED,
            {**_CALLED, "reasoning": "I have to count."},
            _result(1, "3"),
            _said("assistant", "Three.", reasoning="It says 3."),
        ],
        "tools": [_BEDS],
    },
    "names": {
        "messages": [
            _said("system", "Be brief.", name="clinic"),
            _said("user", "Hi", name="Ann"),
            _said("assistant", "Hello!", name="Bo"),
        ]
    },
    "a developer with a name": {"messages": [_said("developer", "Be brief.", name="clinic")]},
    "documents": {
        "messages": [_SYSTEM],
        "documents": [{"title": "Wards", "text": "Cardiology has 3 beds."}, {"text": "None", "doc_id": "2"}],
    },
    "documents and tools": {"messages": [], "documents": [{"title": "Wards", "text": "3 beds"}], "tools": [_NOW]},
    "no effort": {"messages": [_SYSTEM], "reasoning_effort": "none"},
    "a low effort": {"messages": [_SYSTEM, _ASKED, _said("assistant", "Three.")], "reasoning_effort": "low"},
    "a high effort and its variable": {
        "messages": [],
        "reasoning_effort": "high",
        "chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "low", "builtin_tools": ["x"]},
    },
    "a message to continue": {"messages": [_SYSTEM, _ASKED], "continue_final_message": True},
    "a message to continue after others": {
        "messages": [_ASKED, _said("assistant", "Three.", reasoning="Hm."), _said("user", "Why?")],
        "continue_final_message": True,
    },
    "a message to continue with tools": {
        "messages": [_ASKED, _CALLED, _result(1, "3")],
        "tools": [_BEDS],
        "continue_final_message": True,
        "reasoning_effort": "low",
    },
}
"""By name. A draft follows as the last message: see `with_draft`."""

CHOICES: Mapping[str, Body] = {
    "tools that may be called": {"messages": [_SYSTEM], "tools": [_BEDS, _NOW], "tool_choice": "auto"},
    "tools that may not be called": {"messages": [_SYSTEM], "tools": [_BEDS, _NOW], "tool_choice": "none"},
    "a tool that has to be called": {"messages": [_SYSTEM], "tools": [_BEDS, _NOW], "tool_choice": "required"},
    "a tool that is named": {
        "messages": [_ASKED, _CALLED, _result(1, "3")],
        "tools": [_BEDS, _NOW],
        "tool_choice": {"type": "function", "function": {"name": "now"}},
    },
}
"""Those that say whether tools are called; what has to be called takes a server that parses calls."""

NAMED_DRAFTS: Mapping[str, Body] = {
    "a draft with a name": {"messages": [_SYSTEM], "draft_name": "Ann"},
    "a draft with a name to continue": {"messages": [_ASKED], "draft_name": "Bo", "continue_final_message": True},
}
"""Those whose draft has a name, which is a field of its message."""


def with_draft(body: Body, draft: str) -> dict[str, Any]:
    """Return the body of the request that an application sends for the answer to a draft."""
    name = {"name": body["draft_name"]} if "draft_name" in body else {}
    fields = {field: value for field, value in body.items() if field != "draft_name"}
    if body.get("continue_final_message"):
        last = _said("assistant", draft, **name)
        return {**fields, "add_generation_prompt": False, "messages": [*body["messages"], last]}
    return {**fields, "messages": [*body["messages"], _said("user", draft, **name)]}


def opening_of(body: Body) -> pb.Open:
    """Return how the SDK opens a session for such requests."""
    return open_request(
        body["messages"],
        None,
        "",
        WarmMode.AUTO,
        CacheScope.SHARED,
        "",
        body.get("chat_template_kwargs"),
        PregenerationMode.OFF,
        "",
        b"",
        tools=body.get("tools"),
        documents=body.get("documents"),
        reasoning_effort=body.get("reasoning_effort"),
        continue_final_message=body.get("continue_final_message", False),
        tool_choice=body.get("tool_choice"),
        draft_name=body.get("draft_name", ""),
    )


def conversation_of(body: Body) -> Conversation:
    """Return the conversation before the draft as the service has it, by way of the SDK and the wire."""
    opening = event_from(pb.ComposeRequest(open=opening_of(body)))
    assert isinstance(opening, Open)
    return opening.conversation(opening.messages)
