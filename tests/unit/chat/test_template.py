"""A model's own template: what reaches it, and the text that it makes as tokens."""

import json
from pathlib import Path
from typing import Any

import pytest
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.template import HfChat, Template
from forefill_service.engine.template_variables import variables_of
from forefill_service.errors import Reason, Refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.small_tokenizer import small_tokenizer
from tests.support.templates import CHATML

TOKENIZER = small_tokenizer()
SHOWS_ITS_VARIABLES = CHATML + "{{ [thinking, effort, loop_limit, range(2) | list] }}"
USER = (ChatMessage("user", "x"),)
CONTEXT_TOKENS = 64
CASES = Path(__file__).parents[3].parent / "shared" / "cases"


def chat(template: str) -> HfChat:
    return HfChat(TOKENIZER, template, variables=variables_of(template))


def rendered(template: str, **kwargs: Any) -> str:
    return chat(template).render(Conversation(USER, kwargs))


def refused(template: str, **kwargs: Any) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        rendered(template, **kwargs)
    return refusal.value


# --- single tokens


class Pieces:
    """A tokenizer that knows a few pieces, and drops the space that begins a text as SentencePiece does."""

    def __init__(self, pieces: dict[int, str]) -> None:
        self._pieces = pieces

    def apply_chat_template(self) -> None:
        """Be a tokenizer."""

    def get_vocab(self) -> dict[str, int]:
        return {piece: token for token, piece in self._pieces.items()}

    def convert_ids_to_tokens(self, token: int) -> str | None:
        return self._pieces.get(token)

    def decode(self, ids: list[int]) -> str:
        return "".join(self._pieces.get(token, "") for token in ids).replace("▁", " ").removeprefix(" ")


@pytest.mark.parametrize(("token", "text"), [(1, " word"), (2, "word"), (3, "  "), (4, "<end>"), (99, "")])
def test_a_token_has_the_spaces_that_its_piece_begins_with(token: int, text: str) -> None:
    one = HfChat(Pieces({1: "▁word", 2: "word", 3: "▁▁", 4: "<end>"}), "")
    assert one.text_of(token) == text
    assert one.text_of(token) == text, "once more"


def test_the_tokens_of_a_text_have_its_parts() -> None:
    text = "Show me all of them"
    assert "".join(map(chat(CHATML).text_of, chat(CHATML).encode(text))) == text


# --- variables


@pytest.mark.parametrize(
    "ignored",
    [
        {"unused": 1},
        {"conversations": 1},  # render_jinja_template's own
        {"compiled_template": 1},
        {"kwargs": {"thinking": True}},
        {"range": 1},  # Jinja defines it
        {"m": "a variable of the template's own loop"},
        {"args": [], "cls": 0, "": "", "not a name": 1, "ünï": 1, "__class__": 1},
        {"thinking": None},
        {"thinking": "auto"},
    ],
)
def test_a_variable_that_the_template_does_not_read_or_that_has_no_value_is_ignored(ignored: dict[str, Any]) -> None:
    assert rendered(SHOWS_ITS_VARIABLES, **ignored) == rendered(SHOWS_ITS_VARIABLES)


@pytest.mark.parametrize("value", [True, False, 0, 0.5, "", "low", [], {}, [None], {"auto": None}])
def test_a_variable_that_the_template_reads_reaches_it(value: Any) -> None:
    assert rendered(CHATML + "{{ effort | tojson }}", effort=value) == rendered(CHATML) + json.dumps(value)


@pytest.mark.parametrize(
    "name",
    [
        *("messages", "conversation", "chat_template", "tokenize", "add_generation_prompt", "continue_final_message"),
        *("tools", "documents", "padding", "truncation", "max_length", "return_tensors", "return_dict"),
        *("return_assistant_tokens_mask", "tokenizer_kwargs", "self", "model_config", "tokenizer"),
    ],
)
@pytest.mark.parametrize("template", [CHATML, "{{ %s }}"])
@pytest.mark.parametrize("value", [1, None, [], {}, "auto"])
def test_a_name_that_is_not_the_templates_own_is_refused_whether_it_is_read_or_not(
    name: str, template: str, value: Any
) -> None:
    refusal = refused(template.replace("%s", name), **{name: value})
    assert refusal.reason is Reason.INVALID_OPEN
    assert name in str(refusal)


def test_a_chat_that_does_not_know_the_variables_gives_all_to_the_template() -> None:
    assert HfChat(TOKENIZER, "{{ effort }}").render(Conversation(USER, {"effort": 1})) == "1"


@pytest.mark.skipif(not CASES.is_dir(), reason="the cases lie beside the repository")
def test_the_case_of_an_unused_variable_is_rendered_as_without_it() -> None:
    case = json.loads((CASES / "kwargs_conversations.json").read_text())
    messages = tuple(ChatMessage(*message) for message in case["messages"])
    with_it = Conversation(messages, case["chat_template_kwargs"])
    assert chat(CHATML).render(with_it) == chat(CHATML).render(Conversation(messages))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(max_size=8) | st.sampled_from(
    ["thinking", "effort", "tools", "range", "conversations", "bos_token", "kwargs", "raise_exception", "messages"]
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, JSON, max_size=4))
def test_whatever_the_variables_are_there_is_a_text_or_a_refusal(kwargs: dict[str, Any]) -> None:
    template = CHATML + "{{ thinking }}{{ effort | length }}{{ raise_exception('no') if tools else conversations }}"
    try:
        outcome: object = rendered(template, **kwargs)
    except Refusal as refusal:
        outcome = refusal.reason
    assert isinstance(outcome, str) or outcome in (Reason.INVALID_OPEN, Reason.TEMPLATE_REFUSED)


# --- tools, documents, and a message to continue

SHOWS_TOOLS = "{{ tools | tojson if tools }}{{ documents | tojson if documents }}" + CHATML
TOOL = {"function": {"name": "beds", "parameters": {"b": 1.0, "a": 2}}}
TOOL_FORM = '{"type": "function", "function": {"name": "beds", "description": null, "parameters": {"b": 1.0, "a": 2}}}'


def test_tools_and_documents_reach_the_template_as_in_vllm() -> None:
    conversation = Conversation(USER, tools=(TOOL,), documents=({"text": "t", "title": ""},))
    documents = '[{"text": "t", "title": ""}]'
    assert chat(SHOWS_TOOLS).render(conversation) == f"[{TOOL_FORM}]{documents}" + rendered(CHATML)
    assert rendered(SHOWS_TOOLS) == rendered(CHATML)


def test_a_model_with_another_template_for_tools_gets_them_by_that() -> None:
    with_tools = Template("{{ tools | length }} {{ effort }}{{ messages[0].content }}", "openai", frozenset({"effort"}))
    both = HfChat(TOKENIZER, CHATML, variables=frozenset(), with_tools=with_tools)
    assert both.render(Conversation(USER, {"effort": 2})) == rendered(CHATML)
    assert both.render(Conversation(USER, {"effort": 2}, tools=(TOOL,))) == "1 2[{'type': 'text', 'text': 'x'}]"


@pytest.mark.parametrize("excludes_tools", [True, False])
def test_tools_that_may_not_be_called_are_left_out_if_the_engine_excludes_them(excludes_tools: bool) -> None:
    allowed = Conversation(USER, tools=(TOOL,))
    shown = chat(SHOWS_TOOLS).render(allowed)
    both = HfChat(TOKENIZER, SHOWS_TOOLS, excludes_tools=excludes_tools)
    assert both.render(allowed) == shown
    forbidden = Conversation(USER, tools=(TOOL,), tool_choice="none")
    assert both.render(forbidden) == (rendered(CHATML) if excludes_tools else shown)


CONTINUED = (*USER, ChatMessage("assistant", "It is  "))


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (CHATML, "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\nIt is  "),
        (
            CHATML.replace("m['content']", "m['content'] | trim"),
            "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\nIt is",
        ),
    ],
)
def test_a_message_to_continue_is_left_open(template: str, text: str) -> None:
    assert chat(template).render(Conversation(CONTINUED, continue_final_message=True)) == text


def test_a_template_that_hides_the_message_to_continue_is_refused_without_the_conversation_in_the_words() -> None:
    hides = "{{ messages[0].content }}{{ messages[1].content | length }}"
    with pytest.raises(Refusal, match="final message does not appear in the chat") as refusal:
        chat(hides).render(Conversation((USER[0], ChatMessage("assistant", "secret")), continue_final_message=True))
    assert refusal.value.reason is Reason.TEMPLATE_REFUSED
    assert "secret" not in str(refusal.value)


# --- size


class Counting(HfChat):
    """Counts the characters that are tokenized."""

    tokenized = 0

    def encode(self, text: str) -> list[int]:
        self.tokenized += len(text)
        return super().encode(text)


def test_a_text_that_cannot_fit_is_refused_before_it_is_tokenized() -> None:
    counting = Counting(TOKENIZER, "{% for i in range(1000) %}{{ messages[-1]['content'] }} and so on{% endfor %}")
    with pytest.raises(Refusal, match="characters, and 768 have room") as refusal:
        TurnPrompt(counting, Conversation(), CONTEXT_TOKENS)
    assert refusal.value.reason is Reason.PROMPT_TOO_LONG
    assert counting.tokenized == 0


def test_a_draft_that_cannot_fit_is_refused_before_it_is_tokenized() -> None:
    counting = Counting(TOKENIZER, CHATML)
    turn = TurnPrompt(counting, Conversation(), CONTEXT_TOKENS)
    counting.tokenized = 0
    for ids in (turn.final, turn.stable):
        with pytest.raises(Refusal) as refusal:
            ids("x" * 800)
        assert refusal.value.reason is Reason.PROMPT_TOO_LONG
    assert counting.tokenized == 0


def test_a_text_of_the_longest_tokens_has_room() -> None:
    tokens = CONTEXT_TOKENS - 1 - len(TOKENIZER.encode("a"))
    turn = TurnPrompt(chat("{{ messages[-1]['content'] }}"), Conversation(), CONTEXT_TOKENS)
    assert len(turn.final("<|im_start|>" * tokens)) == tokens


class Batching:
    """A fast tokenizer's Rust part that only counts what it is given at once, and what as a batch."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self.at_once: list[int] = []
        self.batches: list[int] = []

    def encode(self, text: str, **options: bool) -> Any:
        self.at_once.append(len(text))
        return self._backend.encode(text, **options)

    def encode_batch(self, texts: list[str], **options: bool) -> Any:
        self.batches += map(len, texts)
        return self._backend.encode_batch(texts, **options)


def test_a_long_text_is_tokenized_as_a_batch_since_only_that_lets_other_threads_run() -> None:
    made = chat(CHATML)
    made._backend = counted = Batching(made._backend)
    text = "Is it so?<|im_end|>" * 500
    ids = made.encode(text)
    assert made.encode_with_ends(text) == (ids, [end for _, end in counted._backend.encode(text).offsets])
    assert ids == TOKENIZER.encode(text)
    assert (counted.at_once, counted.batches) == ([], [len(text)] * 2)
    made.encode("short")
    assert counted.at_once == [5]
