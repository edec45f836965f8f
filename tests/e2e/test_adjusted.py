"""What vLLM's parsers make of a sampling is what they make of it at the chat endpoint, whose code is the reference."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.openai_form import chat_fields
from forefill_service.chat.tool_choice import NamedTool
from forefill_service.engine.vllm.rendering import VllmRendering
from forefill_service.errors import EngineStartError, Reason, Refusal
from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.sampling_params import StructuredOutputsParams

from tests.support.template_habits import HABITS
from tests.support.vllm_rendering import ModelChats

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore:max_tokens is deprecated")]

SCHEMA = json.dumps({"type": "object", "properties": {"beds": {"type": "integer"}}, "required": ["beds"]})
PARAMETERS = {"type": "object", "properties": {"ward": {"type": "integer"}}, "required": ["ward"]}
STRICT = {"type": "function", "function": {"name": "beds", "parameters": PARAMETERS, "strict": True}}
LOOSE = {"type": "function", "function": {"name": "beds", "parameters": PARAMETERS}}
ASKED = (ChatMessage("user", "How many beds are free in ward 3?"),)
SESSIONS = {
    "nothing": (Conversation(), Sampling()),
    "a structure": (Conversation(), Sampling(structure=Structure("json", SCHEMA))),
    "a choice": (Conversation(), Sampling(structure=Structure("choice", ("yes", "no")))),
    "a tool": (Conversation(tools=(LOOSE,)), Sampling()),
    "a strict tool": (Conversation(tools=(STRICT,)), Sampling()),
    "a strict tool and a structure": (Conversation(tools=(STRICT,)), Sampling(structure=Structure("json", SCHEMA))),
    "special tokens": (Conversation(), Sampling(skip_special_tokens=False)),
    "tools that may not be called": (Conversation(tools=(STRICT,), tool_choice="none"), Sampling()),
    "a tool that has to be called": (Conversation(tools=(LOOSE,), tool_choice="required"), Sampling()),
    "a strict tool that has to be called": (Conversation(tools=(STRICT,), tool_choice="required"), Sampling()),
    "one call at most": (Conversation(tools=(LOOSE,), parallel_tool_calls=False), Sampling()),
    "one call at most, which has to be": (
        Conversation(tools=(LOOSE,), tool_choice="required", parallel_tool_calls=False),
        Sampling(),
    ),
    "a tool that is named": (Conversation(tools=(LOOSE,), tool_choice=NamedTool("beds")), Sampling()),
}


def by_the_endpoint(authority: VllmRendering, conversation: Conversation, sampling: Sampling) -> tuple[bool, Any]:
    """Return whether special tokens are skipped, and the structure, after vLLM has rendered a request."""
    given = {} if sampling.structure is None else sampling.structure.as_vllm_takes_it
    calls = authority._splits_calls and conversation.tools
    default = {"tool_choice": "auto" if calls else "none"}
    request = ChatCompletionRequest(
        **default | chat_fields(replace(conversation, messages=ASKED)),
        skip_special_tokens=sampling.skip_special_tokens,
        structured_outputs=StructuredOutputsParams(**given) if given else None,
    )
    asyncio.run(authority._online.render_chat(request))
    params = request.extract_structured_outputs()
    fields = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
    found = {} if params is None else {name: getattr(params, name) for name in fields}
    given = {name: value for name, value in found.items() if value is not None}
    return request.skip_special_tokens, {name: _as_text(value) for name, value in given.items()}


def _as_text(value: Any) -> Any:
    """vLLM writes an object as its text before it uses it."""
    return json.dumps(value) if isinstance(value, dict) else value


def by_forefill(authority: VllmRendering, conversation: Conversation, sampling: Sampling) -> tuple[bool, Any]:
    adjusted = authority.adjusted(conversation, sampling)
    return adjusted.skip_special_tokens, adjusted.structure.as_vllm_takes_it if adjusted.structure else {}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "template.jinja"
    file.write_text(HABITS["tools_in_the_system_prompt"])
    return file


@pytest.mark.parametrize("parser", ["", "hermes", "pythonic", "xlam"])
@pytest.mark.parametrize(
    "name", [name for name, (conversation, _) in SESSIONS.items() if not conversation.requires_a_call]
)
def test_parsers_of_calls_change_it_as_at_the_endpoint(
    packaged_model: ModelChats, template: Path, name: str, parser: str
) -> None:
    authority = packaged_model.authority(template, parser)
    conversation, sampling = SESSIONS[name]
    expected = by_the_endpoint(authority, conversation, sampling)
    assert by_forefill(authority, conversation, sampling) == expected
    if parser == "hermes" and name in ("a strict tool", "a strict tool and a structure", "one call at most"):
        assert "structural_tag" in expected[1]


@pytest.mark.parametrize("parser", ["hermes", "pythonic", "xlam"])
@pytest.mark.parametrize("name", [name for name, (conversation, _) in SESSIONS.items() if conversation.requires_a_call])
def test_a_call_that_has_to_be_is_a_structure_as_at_the_endpoint(
    packaged_model: ModelChats, template: Path, name: str, parser: str
) -> None:
    authority = packaged_model.authority(template, parser)
    conversation, sampling = SESSIONS[name]
    expected = by_the_endpoint(authority, conversation, sampling)
    assert set(expected[1]) == {"structural_tag" if parser == "hermes" else "json"}
    assert by_forefill(authority, conversation, sampling) == expected
    assert authority.requiring(conversation).structure is not None


def test_without_a_parser_of_calls_none_can_be_required(packaged_model: ModelChats, template: Path) -> None:
    authority = packaged_model.authority(template)
    with pytest.raises(Refusal, match="without a parser for calls") as refused:
        authority.requiring(SESSIONS["a tool that is named"][0])
    assert refused.value.reason is Reason.INVALID_TOOLS


@pytest.mark.parametrize("name", [name for name, (conversation, _) in SESSIONS.items() if not conversation.tools])
def test_harmony_marks_where_the_structure_begins(gpt_oss: ModelChats, name: str) -> None:
    authority = gpt_oss.authority()
    conversation, sampling = SESSIONS[name]
    expected = by_the_endpoint(authority, conversation, sampling)
    assert by_forefill(authority, conversation, sampling) == expected
    assert ("structural_tag" in expected[1]) is (sampling.structure is not None)


def test_a_parser_that_does_not_fit_the_model_is_found_out_at_the_start(
    packaged_model: ModelChats, template: Path
) -> None:
    with pytest.raises(EngineStartError, match="check --reasoning-parser and --tool-call-parser"):
        packaged_model.authority(template, "jamba")
