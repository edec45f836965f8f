"""Rule 1 for the templates and tokenizers of several families, against the code behind vLLM's chat endpoint.

An engine is not needed for that: the ids of a prompt are made before it.
"""

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from forefill_client.keystrokes import SAMPLE_QUERIES
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.token_ids import TokenIds
from forefill_service.errors import Reason, Refusal
from forefill_service.session.boundary import last_boundary
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.templates import TEMPLATES
from tests.support.texts import AWKWARD_TEXTS
from tests.support.tokenizers import FAMILIES, NoTokenizer, model_directory
from tests.support.vllm_rendering import ModelChats, TemplateRaised, VllmChat
from tests.support.wire import Messages

pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore:max_tokens is deprecated")]

CONTEXT_TOKENS = 8192
MOST_TOKENS_LOST = 3
"""What a miss may cost: so few ids at the end of the stable ones are not the final ones."""

CONVERSATIONS: dict[str, Messages] = {
    "nothing": [],
    "system": [("system", " You answer in SQL.\n")],
    "a turn": [("user", " Hi "), ("assistant", "<think>hm</think>\n\nHello! ")],
    "system and turns": [
        ("system", "You answer in SQL."),
        ("user", "<tool>1</tool>"),
        ("assistant", "\nOne.\n"),
        ("user", "\n\n"),
        ("assistant", ""),
    ],
    "two users": [("user", "one"), ("user", "two")],
    "developer": [("developer", "Be brief.")],
    "developer and system": [("system", "You answer in SQL."), ("developer", "Be brief."), ("system", "")],
    "tool": [("user", "x"), ("assistant", "calling"), ("tool", '{"rows": 3}')],
    "an unknown role": [("narrator", "It was night.")],
}

# Anything that protobuf carries as a string, and more of what templates and tokenizers stumble over.
PIECES = [
    *(
        " ",
        "  ",
        "\n",
        "\n\n",
        "\t",
        "a",
        "The",
        " car",
        "cars",
        "?",
        ".",
        "'",
        '"',
        "7",
        "1234",
        "é",
        "的",
        "👩🏽‍🚀",
        "\u0301",
    ),
    *("<|im_start|>", "<|im_end|>", "assistant", "<|", "|>", "[/INST]", "<end_of_turn>", "<bos>", "</think>", "<tool>"),
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.lists(
    st.sampled_from(PIECES), max_size=16
).map("".join)

PROPERTY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Pair:
    """forefill and vLLM with the same model and template."""

    def __init__(self, model: ModelChats, template: Path | None = None) -> None:
        self.ours = model.ours(template)
        self.theirs: VllmChat = model.theirs(template)
        self.authority = model.authority(template)

    def turn(self, messages: Messages, **kwargs: bool) -> TurnPrompt:
        """Return forefill's prompts for a draft behind these messages."""
        return TurnPrompt(self.ours, Conversation(tuple(ChatMessage(*m) for m in messages), kwargs), CONTEXT_TOKENS)

    def turns(self) -> Iterator[tuple[Messages, TurnPrompt]]:
        """Return all conversations that the template accepts; the others are refused in vLLM's words."""
        for messages in CONVERSATIONS.values():
            try:
                self.theirs.ids([*messages, ("user", "x")])
            except TemplateRaised as raised:
                with pytest.raises(Refusal, match=re.escape(str(raised))) as refused:
                    self.turn(messages)
                assert refused.value.reason is Reason.TEMPLATE_REFUSED
            else:
                yield messages, self.turn(messages)

    def check(self, messages: Messages, turn: TurnPrompt, text: str, **kwargs: bool) -> None:
        assert turn.final(text).to_list() == self.theirs.ids([*messages, ("user", text)], kwargs)

    def check_authority(self) -> None:
        """Compare what is asked of vLLM's code with what its chat endpoint makes, refusals included."""
        for messages in CONVERSATIONS.values():
            for text in AWKWARD_TEXTS.values():
                said = [*messages, ("user", text)]
                asked = Conversation(tuple(ChatMessage(*message) for message in said))
                try:
                    expected = self.theirs.ids(said)
                except TemplateRaised as raised:
                    with pytest.raises(Refusal, match=re.escape(str(raised))) as refused:
                        self.authority.ids(asked)
                    assert refused.value.reason is Reason.TEMPLATE_REFUSED
                else:
                    assert self.authority.ids(asked) == expected


@pytest.fixture(params=TEMPLATES)
def pair(request: pytest.FixtureRequest, packaged_model: ModelChats, tmp_path: Path) -> Pair:
    """One of our templates on the packaged model's tokenizer."""
    file = tmp_path / "template.jinja"
    file.write_text(TEMPLATES[request.param])
    return Pair(packaged_model, file)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A family's own tokenizer and template."""
    try:
        model = ModelChats(model_directory(request.param))
    except NoTokenizer as reason:
        pytest.skip(f"no tokenizer of {request.param}: {reason}")
    yield Pair(model)
    model.close()


def test_ids_are_vllms_for_every_template_conversation_and_awkward_text(pair: Pair) -> None:
    for messages, turn in pair.turns():
        for text in AWKWARD_TEXTS.values():
            pair.check(messages, turn, text)


def test_awkward_turns_are_rendered_as_vllm_renders_them(pair: Pair) -> None:
    for text in AWKWARD_TEXTS.values():
        messages = [("user", text), ("assistant", text)]
        pair.check(messages, pair.turn(messages), "And now?")


@PROPERTY
@given(text=TEXTS)
def test_ids_are_vllms_whatever_is_typed(pair: Pair, text: str) -> None:
    for name in ("nothing", "a turn"):
        pair.check(CONVERSATIONS[name], pair.turn(CONVERSATIONS[name]), text)


@PROPERTY
@given(text=TEXTS, position=st.integers(0, 60))
def test_what_is_stable_at_a_word_boundary_leads_the_final_ids_but_for_a_token_or_two(
    pair: Pair, request: pytest.FixtureRequest, text: str, position: int
) -> None:
    if request.node.callspec.params["pair"] == "drops_reasoning":
        assume("</think>" not in text)  # this template then drops all of the user's text before that
    turn = pair.turn([])
    confirmed = text[: last_boundary(text[:position])]
    stable, final = turn.stable(confirmed), turn.final(text)
    assert len(stable) - stable.common(final) <= MOST_TOKENS_LOST
    assert turn.final(text) == final


def test_system_prompts_that_a_template_forbids_are_refused_in_its_own_words(
    packaged_model: ModelChats, tmp_path: Path
) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(TEMPLATES["mistral"])
    with pytest.raises(Refusal, match="Only user and assistant roles are supported!") as refused:
        Pair(packaged_model, file).turn(CONVERSATIONS["system"])
    assert refused.value.reason is Reason.TEMPLATE_REFUSED


def test_content_in_parts_is_given_in_parts(packaged_model: ModelChats, tmp_path: Path) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(TEMPLATES["content_in_parts"])
    pair = Pair(packaged_model, file)
    assert pair.turn([]).final("x").to_list() == pair.ours.encode(
        "<|im_start|>user\n(x)<|im_end|>\n<|im_start|>assistant\n"
    )


def test_other_families_ids_are_vllms_for_every_conversation_and_awkward_text(family: Pair) -> None:
    for messages, turn in family.turns():
        for text in AWKWARD_TEXTS.values():
            family.check(messages, turn, text)


@pytest.mark.parametrize("enable_thinking", [True, False])
def test_variables_of_the_template_reach_it_as_in_vllm(family: Pair, enable_thinking: bool) -> None:
    messages = CONVERSATIONS["system and turns"]
    turn = family.turn(messages, enable_thinking=enable_thinking)
    family.check(messages, turn, "How many? ", enable_thinking=enable_thinking)


@PROPERTY
@given(text=TEXTS)
def test_other_families_ids_are_vllms_whatever_is_typed(family: Pair, text: str) -> None:
    for name in ("nothing", "a turn"):
        family.check(CONVERSATIONS[name], family.turn(CONVERSATIONS[name]), text)


# One token may straddle the end of the confirmed text: always possible, rare in what people type.
MOST_MISSES = {"typed": 0.02, "awkward": 0.10}


def test_text_confirmed_at_word_boundaries_is_stable_in_nearly_all_cases(
    pair: Pair, request: pytest.FixtureRequest
) -> None:
    template = request.node.callspec.params["pair"]
    if template == "counts_the_user":
        pytest.skip("nothing behind a count of the draft's characters is stable")
    turn = pair.turn([])
    assert miss_rate(turn, typed_texts()) <= MOST_MISSES["typed"]
    assert miss_rate(turn, AWKWARD_TEXTS.values()) <= MOST_MISSES["awkward"]


def test_other_families_text_confirmed_at_word_boundaries_is_stable_in_nearly_all_cases(family: Pair) -> None:
    turn = family.turn(CONVERSATIONS["a turn"])
    assert miss_rate(turn, typed_texts()) <= MOST_MISSES["typed"]
    assert miss_rate(turn, AWKWARD_TEXTS.values()) <= MOST_MISSES["awkward"]


def typed_texts() -> list[str]:
    """Return the sample queries, and the questions of the Spider data set where it lies beside the repository."""
    spider = Path(__file__).parents[2].parent / "shared" / "data" / "spider"
    questions = [q for file in sorted(spider.glob("*.json")) for q in json.loads(file.read_text())["questions"]]
    return [*SAMPLE_QUERIES, *questions]


def miss_rate(turn: TurnPrompt, texts: Collection[str]) -> float:
    """Type texts boundary by boundary and return the share of stable ids that do not lead the final ones.

    Whatever was missed, the final ids stay the same.
    """
    misses = boundaries = 0
    for text in texts:
        if len(text) > 1000:
            continue
        final = turn.final(text)
        for stable in stable_at_boundaries(turn, text):
            lost = len(stable) - stable.common(final)
            assert lost <= MOST_TOKENS_LOST
            boundaries += 1
            misses += lost > 0
        assert turn.final(text) == final
    assert boundaries > len(texts)
    return misses / boundaries


def stable_at_boundaries(turn: TurnPrompt, text: str) -> Iterator[TokenIds]:
    ends = (end for end in range(1, len(text) + 1) if last_boundary(text[:end]) == end)
    return (turn.stable(text[:end]) for end in ends)


# --- the authority: what is asked if the fast path is not enough


def test_what_is_asked_of_vllms_code_is_what_its_endpoint_makes(pair: Pair) -> None:
    pair.check_authority()


def test_what_is_asked_of_vllms_code_is_what_its_endpoint_makes_for_other_families(family: Pair) -> None:
    family.check_authority()


def test_a_prompt_that_the_context_has_no_room_for_is_refused_as_too_long(packaged_model: ModelChats) -> None:
    conversation = Conversation((ChatMessage("user", "many " * packaged_model.config.model_config.max_model_len),))
    with pytest.raises(Refusal) as refused:
        packaged_model.authority().ids(conversation)
    assert refused.value.reason is Reason.PROMPT_TOO_LONG
