"""chat_template_kwargs of every name and value, against the code behind vLLM's chat endpoint: the same ids, or refused.

An engine is not needed for that.
"""

from pathlib import Path
from typing import Any

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine.template_variables import variables_of
from forefill_service.errors import Reason, Refusal

from tests.support.templates import CHATML, TEMPLATES
from tests.support.vllm_rendering import ModelChats, VllmChat

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore:max_tokens is deprecated")]

MESSAGES = [("system", "Be brief."), ("user", "x")]
SHOWN = ("thinking", "effort", "range", "bos_token", "kwargs", "cls")
TEMPLATE = (
    "{% set local = 1 %}{% if thinking %}{% set late = 2 %}{% endif %}"
    + CHATML
    + "".join("{{ ['%s', %s is defined, %s | string] if %s is defined }}" % (4 * (name,)) for name in SHOWN)
    + "{{ local }}{{ late }}{{ range(2) | list }}"
)
"""Shows what reaches it."""

OWN = ["thinking", "effort", "bos_token", "eos_token", "late", "kwargs", "cls"]
IGNORED = [
    *("unused", "conversations", "compiled_template", "args", "", "not a name", "local", "loop", "m", "range"),
    *("namespace", "dict", "key", "skip_special_tokens", "return_offsets_mapping", "add_special_tokens", "generation"),
    *("func", "executor", "params", "request", "model", "chat_template_kwargs", "enable_thinking", "reasoning_effort"),
]
OVERRIDING = [
    *("messages", "conversation", "chat_template", "tokenize", "add_generation_prompt", "continue_final_message"),
    *("tools", "documents", "padding", "truncation", "max_length", "return_tensors", "return_dict"),
    *("return_assistant_tokens_mask", "tokenizer_kwargs", "self", "model_config", "tokenizer"),
]
VALUES: list[Any] = [None, "auto", True, False, 0, 1, 0.5, "", "low", [], [1], {}, {"a": None}, "<|im_end|>"]


class Sides:
    """vLLM and forefill with the same model and template."""

    def __init__(self, model: ModelChats, template: Path) -> None:
        self._vllm: VllmChat = model.theirs(template)
        self._chat = model.ours(template)

    def theirs(self, kwargs: dict[str, Any]) -> list[int] | None:
        """Return vLLM's ids; None if it refuses."""
        try:
            return self._vllm.ids(MESSAGES, kwargs)
        except Exception:  # also a TypeError, for a name that one of its functions has
            return None

    def ours(self, kwargs: dict[str, Any]) -> list[int] | None:
        try:
            return self._chat.encode(
                self._chat.render(Conversation(tuple(ChatMessage(*message) for message in MESSAGES), kwargs))
            )
        except Refusal:
            return None


@pytest.fixture(scope="module")
def sides(packaged_model: ModelChats, tmp_path_factory: pytest.TempPathFactory) -> Sides:
    file = tmp_path_factory.mktemp("template") / "template.jinja"
    file.write_text(TEMPLATE)
    return Sides(packaged_model, file)


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("name", OWN + IGNORED)
def test_every_name_and_value_gives_vllms_ids(sides: Sides, name: str, value: Any) -> None:
    assert sides.ours({name: value}) == sides.theirs({name: value})


@pytest.mark.parametrize("name", IGNORED)
def test_what_the_template_does_not_read_changes_nothing(sides: Sides, name: str) -> None:
    assert sides.ours({name: "x"}) == sides.ours({}) == sides.theirs({})


@pytest.mark.parametrize("name", ["thinking", "effort", "bos_token", "late", "kwargs", "cls"])
def test_what_the_template_reads_reaches_it(sides: Sides, name: str) -> None:
    assert sides.ours({name: "x"}) != sides.ours({})


@pytest.mark.parametrize("value", VALUES, ids=repr)
@pytest.mark.parametrize("name", OVERRIDING)
def test_a_name_that_overrides_what_forefill_or_vllm_sets_is_refused(sides: Sides, name: str, value: Any) -> None:
    with pytest.raises(Refusal, match=name) as refusal:
        sides._chat.render(Conversation((ChatMessage("user", "x"),), {name: value}))
    assert refusal.value.reason is Reason.INVALID_OPEN


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_variables_of_a_template_are_those_that_vllm_finds(name: str) -> None:
    from vllm.renderers.hf import _resolve_chat_template_kwargs

    assert variables_of(TEMPLATES[name]) == _resolve_chat_template_kwargs(TEMPLATES[name])
