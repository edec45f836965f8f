"""Inputs that once gave other ids than vLLM's chat endpoint: SUBMIT sends its ids, embedded and remote.

An engine is not needed: vLLM's own renderer and its own HTTP application render.
"""

import asyncio
import json
import shlex
from pathlib import Path

import pytest

from tests.support.cases import Case, cases
from tests.support.families import NoTemplates, template_file
from tests.support.id_check import Found, References, embedded, references, remote
from tests.support.render_server import OFFERED
from tests.support.templates import TEMPLATES
from tests.support.vllm_rendering import ModelChats

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(900),  # the templates are fetched once
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]


@pytest.fixture
def chatml(tmp_path: Path) -> Path:
    file = tmp_path / "template.jinja"
    file.write_text(TEMPLATES["chatml"])
    return file


def family_template(name: str) -> Path:
    try:
        return template_file(name)
    except NoTemplates as reason:
        pytest.skip(f"no template {name}: {reason}")


def server_defaults(case: Case) -> dict[str, object]:
    """Return the `--default-chat-template-kwargs` of a case's server."""
    words = shlex.split(case.get("server_flags", ""))
    defaults: dict[str, object] = json.loads(words[1]) if words else {}
    return defaults


class Check:
    """The last message of a case as the draft, and what vLLM makes of it."""

    def __init__(self, case: Case, model: ModelChats, template: Path) -> None:
        *before, (_, draft) = [(role, content) for role, content in case["messages"]]
        self.asked = (model, template, {"case": before}, [draft])
        self.kwargs, self.defaults = case.get("chat_template_kwargs"), server_defaults(case)
        self.expected: References = references(*self.asked, self.kwargs, self.defaults)
        assert self.expected["case"] != [None], "vLLM accepts it"

    def embedded(self) -> Found:
        found = asyncio.run(embedded(*self.asked, self.expected, self.kwargs))
        assert (found.drafts, found.differing) == (1, [])
        return found

    def remote(self, offered: str) -> Found:
        found = asyncio.run(remote(*self.asked, self.expected, offered, self.kwargs, self.defaults))
        assert (found.refused_start, found.drafts, found.differing) == ("", 1, [])
        return found


@pytest.mark.parametrize("case", cases("gptoss_system", "gptoss_two_systems"))
def test_the_system_messages_of_gpt_oss_are_rendered_as_harmony_does(
    case: Case, gpt_oss: ModelChats, chatml: Path
) -> None:
    try:
        template = template_file("openai-gpt-oss-120b")
    except NoTemplates:
        template = chatml  # vLLM renders without it
    check = Check(case, gpt_oss, template)
    check.embedded()
    for offered in OFFERED:
        check.remote(offered)


@pytest.mark.parametrize("case", cases("kwargs_conversations"))
def test_a_variable_that_the_template_does_not_read_is_ignored(
    case: Case, packaged_model: ModelChats, chatml: Path
) -> None:
    check = Check(case, packaged_model, chatml)
    assert check.expected == references(*check.asked), "so does vLLM"
    check.embedded()
    for offered in OFFERED:
        check.remote(offered)


@pytest.mark.parametrize("offered", OFFERED)
@pytest.mark.parametrize("case", cases("defaults_glm47", "defaults_lfm25"))
def test_the_defaults_of_a_server_count_though_they_show_with_reasoning_alone(
    case: Case, packaged_model: ModelChats, offered: str
) -> None:
    check = Check(case, packaged_model, family_template(case["template"]))
    assert check.expected != references(*check.asked), "they show"
    check.remote(offered)


@pytest.mark.parametrize("offered", OFFERED)
@pytest.mark.parametrize("case", cases("format_minimax_m2", "format_minimax_m3"))
def test_the_content_format_is_the_one_that_vllm_takes(case: Case, packaged_model: ModelChats, offered: str) -> None:
    check = Check(case, packaged_model, family_template(case["template"]))
    assert check.embedded().would_differ == check.remote(offered).would_differ == 0, "the fast path takes it, too"
