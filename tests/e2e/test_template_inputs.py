"""Rule 1 for all that a chat template takes: SUBMIT sends the ids that vLLM's chat endpoint makes of the same request.

The requests are those of an application that calls vLLM with OpenAI's client; forefill gets them by its SDK and its
wire. The reference is vLLM's online renderer with a parser of calls, and for the last tests its whole application.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import Output
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.engine.vllm.chat import vllm_chat
from forefill_service.engine.vllm.load import LoadReader
from forefill_service.engine.vllm.rendering import VllmRendering
from forefill_service.engine.vllm.start import StartedVllm
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.chat_bodies import BODIES, CHOICES, NAMED_DRAFTS, conversation_of, opening_of, with_draft
from tests.support.families import NoTemplates, template_file
from tests.support.id_check import Found, References, embedded, references, remote
from tests.support.recording import RecordingEngine
from tests.support.render_server import OFFERED
from tests.support.template_habits import HABITS
from tests.support.vllm_endpoint import ChatEndpoint, chat_endpoint
from tests.support.vllm_rendering import ModelChats
from tests.support.wire import SubmitRefused, typing_after

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),  # the templates are fetched once
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

SHOWS_ALL = HABITS["shows_all_as_it_is"]
DRAFTS = ("How many? ", "\n\u7684  7 <|im_end|>")
FAMILIES = (
    *("Qwen-Qwen3-0.6B", "Qwen-Qwen2.5-7B-Instruct", "meta-llama-Llama-3.1-8B-Instruct", "trl-llama3_2"),
    *("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "mistralai-Mistral-Nemo-Instruct-2407", "GLM-4.6"),
    *("deepseek-ai-DeepSeek-V3.1", "CohereForAI-c4ai-command-r-plus-tool_use", "HuggingFaceTB-SmolLM3-3B"),
    *("ibm-granite-granite-3.3-2B-Instruct", "openai-gpt-oss-120b", "Kimi-K2-Instruct"),
)
PARSES_CALLS: Mapping[str, Any] = {"enable_auto_tool_choice": True, "tool_call_parser": "pythonic"}
AS_FLAGS = ("--enable-auto-tool-choice", "--tool-call-parser", "pythonic")
SERVERS: Mapping[str, Mapping[str, Any]] = {
    "no parser of calls": {},
    "a parser of calls": PARSES_CALLS,
    "tools are excluded": {**PARSES_CALLS, "exclude_tools_when_tool_choice_none": True},
}


@pytest.fixture(params=[*HABITS, *FAMILIES])
def template(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A template of our own, or one of a family, on the packaged model's tokenizer."""
    if request.param in HABITS:
        file = tmp_path / "template.jinja"
        file.write_text(HABITS[request.param])
        return file
    try:
        return template_file(request.param)
    except NoTemplates as reason:
        pytest.skip(f"no template {request.param}: {reason}")


def accepted(found: Found) -> bool:
    return found.refused < found.drafts == len(BODIES) * len(DRAFTS)


def test_submit_sends_vllms_ids_by_the_fast_path(packaged_model: ModelChats, template: Path) -> None:
    expected = references(packaged_model, template, BODIES, DRAFTS)
    found = asyncio.run(embedded(packaged_model, template, BODIES, DRAFTS, expected))
    assert accepted(found)
    assert found.differing == []
    assert found.would_differ == 0
    assert found.turns["AGREES"] == len(BODIES)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("offered", OFFERED)
def test_submit_sends_the_ids_of_the_servers_endpoint(
    packaged_model: ModelChats, tmp_path: Path, server: str, offered: str
) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(HABITS["tools_in_the_system_prompt"])
    expected = references(packaged_model, file, BODIES, DRAFTS)
    found = asyncio.run(remote(packaged_model, file, BODIES, DRAFTS, expected, offered, **SERVERS[server]))
    assert accepted(found)
    assert found.refused_start == ""
    assert found.differing == []


@pytest.mark.parametrize("excludes_tools", [True, False])
def test_a_choice_of_tools_and_the_name_of_a_draft_make_vllms_ids_by_the_fast_path(
    packaged_model: ModelChats, tmp_path: Path, excludes_tools: bool
) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(SHOWS_ALL)
    bodies = {**CHOICES, **NAMED_DRAFTS}
    expected = references(packaged_model, file, bodies, DRAFTS, excludes_tools=excludes_tools)
    assert_they_show(expected, excludes_tools=excludes_tools)
    found = asyncio.run(
        embedded(
            packaged_model, file, bodies, DRAFTS, expected, tool_call_parser="pythonic", excludes_tools=excludes_tools
        )
    )
    assert (found.differing, found.would_differ, found.refused) == ([], 0, 0)
    assert found.turns["AGREES"] == len(bodies)


@pytest.mark.parametrize("server", ["a parser of calls", "tools are excluded"])
@pytest.mark.parametrize("offered", OFFERED)
def test_a_choice_of_tools_and_the_name_of_a_draft_make_the_servers_ids(
    packaged_model: ModelChats, tmp_path: Path, server: str, offered: str
) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(SHOWS_ALL)
    bodies = {**CHOICES, **NAMED_DRAFTS}
    excludes_tools = server == "tools are excluded"
    expected = references(packaged_model, file, bodies, DRAFTS, excludes_tools=excludes_tools)
    found = asyncio.run(remote(packaged_model, file, bodies, DRAFTS, expected, offered, **SERVERS[server]))
    assert (found.refused_start, found.differing, found.would_differ, found.refused) == ("", [], 0, 0)


def assert_they_show(expected: References, *, excludes_tools: bool) -> None:
    """Check that these requests make other prompts where they should, so that a wrong one would be found out."""
    called, forbidden = expected["tools that may be called"], expected["tools that may not be called"]
    assert (called != forbidden) is excludes_tools
    assert called == expected["a tool that has to be called"]
    assert all(ids for found in expected.values() for ids in found)


@pytest.mark.parametrize("name", BODIES)
def test_an_embedded_engine_that_parses_calls_asks_as_a_client_and_splits_them_off(
    packaged_model: ModelChats, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(HABITS["tools_in_the_system_prompt"])
    [[ids]] = references(packaged_model, file, {name: BODIES[name]}, DRAFTS[:1]).values()
    asked = conversation_of(BODIES[name]).drafted(DRAFTS[0])
    rendering = packaged_model.authority(file, "pythonic")
    assert rendering.ids(asked) == list(ids or ())
    splitter = rendering.splitter(asked, ids or ())
    assert splitter is not None
    part = splitter.split(Output("[now()]", (1, 2, 3), 0, "stop"))
    calls = [call.name for call in part.tool_calls]
    assert (part.text, calls) == (("", ["now"]) if asked.tools else ("[now()]", []))


def test_gpt_oss_gets_all_of_it_as_harmony(gpt_oss: ModelChats, tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(HABITS["tools_in_the_system_prompt"])
    bodies = {name: body for name, body in BODIES.items() if not body.get("continue_final_message")}
    expected = references(gpt_oss, file, bodies, DRAFTS)
    assert any(ids is None for ids in expected["no effort"]), "Harmony knows no such effort"
    ways = {"embedded": embedded(gpt_oss, file, bodies, DRAFTS, expected)}
    ways |= {offered: remote(gpt_oss, file, bodies, DRAFTS, expected, offered) for offered in OFFERED}
    for way in ways.values():
        assert asyncio.run(way).differing == []


def test_what_is_warmed_leads_the_ids_of_the_whole_request(packaged_model: ModelChats, template: Path) -> None:
    draft, confirmed = "Which wards have free beds?", "Which wards have "
    expected = references(packaged_model, template, BODIES, [draft])
    chat = packaged_model.ours(template)
    accepted = {name: ids for name, [ids] in expected.items() if ids is not None}
    assert accepted
    for name, ids in accepted.items():
        turn = TurnPrompt(chat, conversation_of(BODIES[name]), 8192)
        assert turn.final(draft).to_list() == list(ids)
        for warmed in (turn.base, turn.stable(confirmed)):
            assert warmed.to_list() == list(ids[: len(warmed)]), name
        assert len(turn.stable(confirmed)) >= len(turn.base) + 3, name


def test_a_draft_is_the_last_message_of_the_request() -> None:
    assert with_draft(BODIES["tools"], "x")["messages"][-1] == {"role": "user", "content": "x"}


# --- with the engine


@dataclass(frozen=True, slots=True)
class Side:
    """forefill beside vLLM's own application, on one engine, with a template that shows tools."""

    address: str
    engine: RecordingEngine
    endpoint: ChatEndpoint


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def side(embedded_engine: EmbeddedEngine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Side]:
    file = tmp_path_factory.mktemp("template") / "template.jinja"
    file.write_text(HABITS["tools_in_the_system_prompt"])
    vllm = embedded_engine.vllm
    started = StartedVllm(vllm, embedded_engine.info.model, LoadReader(), None)
    recording = RecordingEngine(EmbeddedEngine(started, vllm_chat(vllm, file), VllmRendering(vllm, file)))
    async with (
        running_server([recording], Settings(port=0, metrics_port=-1)) as server,
        chat_endpoint(embedded_engine, "--chat-template", str(file), *AS_FLAGS) as endpoint,
    ):
        yield Side(server.address, recording, endpoint)


async def by_the_endpoint(side: Side, request: Mapping[str, Any]) -> tuple[list[int], str]:
    """Return the ids that the endpoint makes of a request, and its answer of at most 12 tokens."""
    made = await side.endpoint.complete_request(request)
    calls = {"tool_choice": "none"} if "tools" in request else {}  # the endpoint would cut them out of the text
    whole = await side.endpoint.complete_request({**request, **calls, "max_tokens": 12})
    return made["prompt_token_ids"], whole["choices"][0]["message"]["content"]


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", BODIES)
async def test_a_session_asks_for_the_endpoints_ids_finds_what_it_warmed_and_gets_the_endpoints_answer(
    side: Side, name: str
) -> None:
    body, confirmed, text = BODIES[name], "Which wards have ", "Which wards have free beds?"
    request = with_draft(body, text)
    prompt_ids, text_of_endpoint = await by_the_endpoint(side, request)
    opening = opening_of(body)
    opening.sampling.CopyFrom(pb.Sampling(temperature=0, max_tokens=12))
    del side.engine.requests[:]
    async with typing_after(side.address, opening) as typist:
        await typist.type(confirmed)
        flushed = await typist.flush()
        await typist.type(text.removeprefix(confirmed))
        answer = await typist.submit()
    [generation] = side.engine.generations
    assert generation.prompt_ids == prompt_ids
    assert answer.text == text_of_endpoint
    assert flushed.stable_tokens >= typist.opened.base_prompt_tokens + 3
    assert answer.cached_tokens >= flushed.cached_tokens
    assert flushed.cached_tokens == flushed.stable_tokens // typist.opened.block_size * typist.opened.block_size


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("name", [name for name, body in BODIES.items() if body["messages"]])
async def test_a_conversation_is_answered_without_a_draft_as_the_endpoint_answers_it(side: Side, name: str) -> None:
    body = BODIES[name]
    continues = body.get("continue_final_message", False)
    request = {**body, "add_generation_prompt": not continues}
    prompt_ids, text_of_endpoint = await by_the_endpoint(side, request)
    opening = opening_of(body)
    opening.sampling.CopyFrom(pb.Sampling(temperature=0, max_tokens=12))
    del side.engine.requests[:]
    async with typing_after(side.address, opening) as typist:
        await typist.type("And ")
        await typist.event(respond=pb.Respond())
        answer = await typist.answer()
        await typist.type("now?")
        await typist.submit()
    first, second = side.engine.generations
    assert first.prompt_ids == prompt_ids
    assert answer.text == text_of_endpoint
    if not continues:
        said = {"role": "assistant", "content": answer.text}
        after = with_draft({**body, "messages": [*body["messages"], said]}, "And now?")
        assert second.prompt_ids == (await side.endpoint.complete_request(after))["prompt_token_ids"]


@pytest.mark.asyncio(loop_scope="session")
async def test_the_turn_after_a_draft_that_was_continued_has_both_as_one_message(side: Side) -> None:
    body = BODIES["a message to continue"]
    opening = opening_of(body)
    opening.sampling.CopyFrom(pb.Sampling(temperature=0, max_tokens=12))
    async with typing_after(side.address, opening) as typist:
        first = await typist.submit("There are")
        asked = {"role": "user", "content": "Why?"}
        rewrite = pb.Rewrite(keep_messages=3, messages=[pb.ChatMessage(role="user", content="Why?")])
        await typist.event(rewrite=rewrite)
        await typist.submit("Because")
    said = {"role": "assistant", "content": f"There are{first.text}"}
    request = with_draft({**body, "messages": [*body["messages"], said, asked]}, "Because")
    expected = await side.endpoint.complete_request(request)
    assert side.engine.generations[-1].prompt_ids == expected["prompt_token_ids"]


@pytest.mark.asyncio(loop_scope="session")
async def test_what_vllm_does_not_take_is_refused_in_its_words_at_submit(side: Side) -> None:
    opening = pb.Open(reasoning_effort="immense", messages=[pb.ChatMessage(role="user", content="x")])
    async with typing_after(side.address, opening) as typist:
        with pytest.raises(SubmitRefused, match="reasoning_effort: Input should be 'none', 'minimal'") as refused:
            await typist.submit("Why?")
    assert refused.value.reason == pb.ERROR_REASON_TEMPLATE_REFUSED
    assert "input_value" not in str(refused.value)
