"""gpt-oss: its ids are those of vLLM's chat endpoint, which renders with Harmony, and its text is the final channel's.

An engine is not needed for that: ids are made before it, and its answers are written here.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import Output
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.openai_form import chat_fields
from forefill_service.engine.probes import CONVERSATIONS
from forefill_service.engine.vllm.chat import check_chat
from forefill_service.engine.vllm.rendering import VllmRendering
from forefill_service.errors import Reason, Refusal
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings
from vllm.entrypoints.openai.parser.harmony_utils import get_encoding

from tests.support.recording import RecordingEngine
from tests.support.templates import TEMPLATES
from tests.support.texts import AWKWARD_TEXTS
from tests.support.vllm_rendering import ModelChats, VllmChat
from tests.support.weightless import weightless_engine
from tests.support.wire import Messages, typing_at

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore:max_tokens is deprecated")]

CASES = sorted((Path(__file__).parents[2].parent / "shared" / "cases").glob("gptoss_*.json"))
ANSWER = (
    "<|channel|>analysis<|message|>They ask for beds.<|end|>"
    "<|start|>assistant<|channel|>commentary<|message|>I count. <|end|>"
    "<|start|>assistant<|channel|>final<|message|>Twelve 🛏️ beds; 的 <|return|>"
)
THOUGHT = "They ask for beds."
TEXT = "I count. Twelve 🛏️ beds; 的 "


@pytest.fixture(scope="module")
def authority(gpt_oss: ModelChats) -> VllmRendering:
    return gpt_oss.authority()


@pytest.fixture(scope="module")
def theirs(gpt_oss: ModelChats) -> VllmChat:
    return gpt_oss.theirs()


def conversation(messages: Messages) -> Conversation:
    return Conversation(tuple(ChatMessage(role, content) for role, content in messages))


def split(authority: VllmRendering, parts: Sequence[Sequence[int]]) -> list[Output]:
    asked = conversation([("user", "How many beds are free?")])
    splitter = authority.splitter(asked, authority.ids(asked))
    assert splitter is not None
    last = len(parts) - 1
    outputs = [Output("?", tuple(ids), 0, "stop" if at == last else None) for at, ids in enumerate(parts)]
    return [splitter.split(output) for output in outputs]


def tokens(text: str) -> list[int]:
    ids: list[int] = get_encoding().encode(text, allowed_special="all")
    return ids


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_ids_are_the_endpoints_for_every_conversation(authority: VllmRendering, theirs: VllmChat, name: str) -> None:
    for text in AWKWARD_TEXTS.values():
        asked = CONVERSATIONS[name].drafted(text)
        assert authority.ids(asked) == theirs.ids_of(chat_fields(asked))


@pytest.mark.parametrize("case", CASES, ids=[case.stem for case in CASES])
def test_ids_of_the_cases_are_the_endpoints(authority: VllmRendering, theirs: VllmChat, case: Path) -> None:
    messages = [(role, content) for role, content in json.loads(case.read_text())["messages"]]
    assert authority.ids(conversation(messages)) == theirs.ids(messages)


def test_a_role_that_harmony_does_not_know_is_refused(authority: VllmRendering) -> None:
    with pytest.raises(Refusal) as refused:
        authority.ids(conversation([("narrator", "It was night."), ("user", "x")]))
    assert refused.value.reason is Reason.TEMPLATE_REFUSED


def test_the_start_says_in_one_line_that_the_fast_path_differs(
    gpt_oss: ModelChats, authority: VllmRendering, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    template = tmp_path / "template.jinja"  # the package with the tokenizer leaves the model's own out
    template.write_text(TEMPLATES["chatml"])
    with caplog.at_level(logging.WARNING, logger="forefill_service"):
        check_chat(gpt_oss.ours(template), authority)
    [record] = [record for record in caplog.records if record.name.startswith("forefill_service")]
    assert "16 of 16" in record.getMessage()
    assert "the first with a question" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize("at_a_time", [1, 2, 7, 1000])
def test_the_text_is_the_content_that_vllm_parses(authority: VllmRendering, at_a_time: int) -> None:
    answer = tokens(ANSWER)
    said = split(authority, [answer[at : at + at_a_time] for at in range(0, len(answer), at_a_time)])
    assert "".join(part.text for part in said) == TEXT
    assert "".join(part.reasoning for part in said) == THOUGHT
    parser = authority._online.parser(authority._online.renderer.get_tokenizer())
    thought, content, _ = parser.parse("", None, model_output_token_ids=answer)
    assert content.replace("\n", "") == TEXT, "the endpoint's, which joins messages by a line break if nothing streams"
    assert thought == THOUGHT


@pytest_asyncio.fixture
async def served(gpt_oss: ModelChats, tmp_path: Path) -> AsyncIterator[tuple[RunningServer, RecordingEngine]]:
    """forefill on gpt-oss, all but the weights: every answer is ANSWER."""
    template = tmp_path / "template.jinja"
    template.write_text(TEMPLATES["chatml"])
    engine = RecordingEngine(weightless_engine(gpt_oss, tokens(ANSWER), template))
    async with running_server([engine], Settings(port=0, metrics_port=-1)) as server:
        yield server, engine


@pytest.mark.parametrize(
    "before",
    [(), (("system", "A."),), (("system", "A."), ("system", "B.")), (("developer", "A."), ("user", "x"))],
    ids=["nothing", "system", "two systems", "developer"],
)
async def test_a_session_asks_for_the_endpoints_ids_and_sends_the_final_channel(
    served: tuple[RunningServer, RecordingEngine], theirs: VllmChat, before: Messages
) -> None:
    server, engine = served
    confirmed, question = "How many beds are free in the ", "How many beds are free in the hospital?"
    async with typing_at(server.address, before, sampling=pb.Sampling(max_tokens=100)) as typist:
        await typist.type(confirmed)
        flushed = await typist.flush()
        await typist.type(question.removeprefix(confirmed))
        answer = await typist.submit()
        first = [*before, ("user", question)]
        expected = await asyncio.to_thread(theirs.ids, first)
        assert engine.generations[-1].prompt_ids == expected
        assert (answer.text, answer.finished.usage.prompt_tokens) == (TEXT, len(expected))
        assert answer.reasoning == THOUGHT
        assert len(await asyncio.to_thread(theirs.ids, [*before, ("user", "")])) < flushed.stable_tokens < len(expected)
        second = [*first, ("assistant", TEXT), ("user", "And now? ")]
        await typist.submit("And now? ")
        assert engine.generations[-1].prompt_ids == await asyncio.to_thread(theirs.ids, second)


def test_an_answer_that_ends_within_a_header_shows_no_markup(authority: VllmRendering) -> None:
    answer = tokens("<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>fin")
    said = split(authority, [answer[:-1], answer[-1:]])
    assert [(part.text, part.reasoning) for part in said] == [("", "Hm."), ("", "")]
