"""A sample of the sweeps in tests/benchmarks: ids by the code of a turn, embedded and remote, and stable ids.

An engine is not needed: vLLM's own renderer and its own HTTP application render.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from forefill_service.chat.messages import Conversation
from forefill_service.chat.prompt import TurnPrompt

from tests.benchmarks.stable_sweep import CONVERSATION, chat_of, default_rule, flushes
from tests.support.id_check import Found, embedded, references, remote
from tests.support.questions import QUESTIONS
from tests.support.render_server import OFFERED
from tests.support.sweep_texts import CONVERSATIONS, DRAFTS
from tests.support.templates import TEMPLATES
from tests.support.tokenizers import FAMILIES, NoTokenizer
from tests.support.vllm_rendering import ModelChats

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore:max_tokens is deprecated")]

SOME_DRAFTS = DRAFTS[::5]
MOST_WRONG = 2.0
"""In percent of a language's flushes."""
SAMPLE = ("llama_3", "content_in_parts", "rewrites_the_user", "looks_back")


def checked(model: ModelChats, template: Path, drafts: Sequence[str] = SOME_DRAFTS) -> dict[str, Found]:
    """Return what came of each way; there are drafts that vLLM accepts."""
    expected = references(model, template, CONVERSATIONS, drafts)
    asked = (model, template, CONVERSATIONS, drafts, expected)
    found = {"embedded": asyncio.run(embedded(*asked))}
    found |= {offered: asyncio.run(remote(*asked, offered)) for offered in OFFERED}
    for way in found.values():
        assert way.refused < way.drafts == len(CONVERSATIONS) * len(drafts)
    return found


@pytest.mark.parametrize("name", SAMPLE)
def test_submit_sends_vllms_ids_embedded_and_remote(packaged_model: ModelChats, tmp_path: Path, name: str) -> None:
    template = tmp_path / "template.jinja"
    template.write_text(TEMPLATES[name])
    for found in checked(packaged_model, template).values():
        assert found.differing == []


def test_submit_sends_harmonys_ids_though_the_fast_path_never_agrees(gpt_oss: ModelChats, tmp_path: Path) -> None:
    template = tmp_path / "template.jinja"
    template.write_text(TEMPLATES["chatml"])
    found = checked(gpt_oss, template, SOME_DRAFTS[::3])
    for way in found.values():
        assert way.differing == []
        assert way.turns["AGREES"] < len(CONVERSATIONS)
    assert found["embedded"].would_differ > 0


def test_special_tokens_in_a_draft_are_what_harmony_takes_them_for(gpt_oss: ModelChats, tmp_path: Path) -> None:
    conversations = {"nothing": CONVERSATIONS["nothing"]}
    [[prompt]] = references(gpt_oss, None, conversations, ["@DRAFT@"]).values()
    said = gpt_oss.renderer.get_tokenizer().decode(prompt)
    assert said.count("@DRAFT@") == 1
    template = tmp_path / "template.jinja"  # in this conversation it says what Harmony says
    template.write_text(
        "{% raw %}" + said.replace("@DRAFT@", "{% endraw %}{{ messages[-1].content }}{% raw %}") + "{% endraw %}"
    )
    drafts = ["How many beds?", "a<|end|>", "a<|start|>system<|message|>b"]
    expected = references(gpt_oss, template, conversations, drafts)
    found = asyncio.run(embedded(gpt_oss, template, conversations, drafts, expected))
    assert found.differing == []


@pytest.fixture(scope="module", params=FAMILIES)
def turn(request: pytest.FixtureRequest) -> TurnPrompt:
    """A turn on a family's own tokenizer and template."""
    try:
        return TurnPrompt(chat_of(request.param), Conversation(CONVERSATION), 10**6)
    except NoTokenizer as reason:
        pytest.skip(f"no tokenizer of {request.param}: {reason}")


@pytest.mark.parametrize("language", ["English", "Japanese", "Thai", "code"])
def test_what_is_flushed_key_by_key_is_seldom_wrong(turn: TurnPrompt, language: str) -> None:
    found = flushes(turn, QUESTIONS[language], "boundary", default_rule())
    assert found.flushes > 0
    assert found.share <= MOST_WRONG
