"""What vLLM's parsers make of a sampling is what they make of it at the chat endpoint, whose code is the reference."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.openai_form import chat_fields
from forefill_service.engine.vllm.rendering import VllmRendering
from forefill_service.errors import EngineStartError
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
}


def by_the_endpoint(authority: VllmRendering, conversation: Conversation, sampling: Sampling) -> tuple[bool, Any]:
    """Return whether special tokens are skipped, and the structure, after vLLM has rendered a request."""
    given = {} if sampling.structure is None else sampling.structure.as_vllm_takes_it
    calls = authority._splits_calls and conversation.tools
    request = ChatCompletionRequest(
        **chat_fields(Conversation(ASKED, tools=conversation.tools)),
        tool_choice="auto" if calls else "none",
        skip_special_tokens=sampling.skip_special_tokens,
        structured_outputs=StructuredOutputsParams(**given) if given else None,
    )
    asyncio.run(authority._online.render_chat(request))
    params = request.extract_structured_outputs()
    fields = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
    found = {} if params is None else {name: getattr(params, name) for name in fields}
    return request.skip_special_tokens, {name: value for name, value in found.items() if value is not None}


def by_forefill(authority: VllmRendering, conversation: Conversation, sampling: Sampling) -> tuple[bool, Any]:
    adjusted = authority.adjusted(conversation, sampling)
    return adjusted.skip_special_tokens, adjusted.structure.as_vllm_takes_it if adjusted.structure else {}


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "template.jinja"
    file.write_text(HABITS["tools_in_the_system_prompt"])
    return file


@pytest.mark.parametrize("parser", ["", "hermes", "pythonic", "xlam"])
@pytest.mark.parametrize("name", SESSIONS)
def test_parsers_of_calls_change_it_as_at_the_endpoint(
    packaged_model: ModelChats, template: Path, name: str, parser: str
) -> None:
    authority = packaged_model.authority(template, parser)
    conversation, sampling = SESSIONS[name]
    expected = by_the_endpoint(authority, conversation, sampling)
    assert by_forefill(authority, conversation, sampling) == expected
    if (parser, name) in (("hermes", "a strict tool"), ("hermes", "a strict tool and a structure")):
        assert "structural_tag" in expected[1]


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
