"""Stable ids of drafts in many scripts and in code, confirmed at every code point, on tokenizers of several families.

An engine is not needed for that, but the tokenizers of its models are.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from forefill_service.chat.growing import PIECE, GrowingText
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.chat.samples import SAMPLES
from forefill_service.chat.template import HfChat
from forefill_service.chat.token_ids import common_length
from forefill_service.engine.packaged_model import packaged_model_path
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.texts import AWKWARD_TEXTS
from tests.support.tokenizers import FAMILIES, NoTokenizer, model_directory

pytestmark = pytest.mark.vllm

DRAFTS: dict[str, list[str]] = json.loads((Path(__file__).parents[1] / "data" / "drafts.json").read_text())
"""By script or style; forefill measures tokenizers on none of them."""
BLOCK = 32
MOST_WRONG = 0.02


@cache
def chat_of(family: str) -> HfChat:
    from transformers import AutoTokenizer

    directory = packaged_model_path() if family == "packaged" else model_directory(family)
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    return HfChat(tokenizer, str(tokenizer.get_chat_template()))


@pytest.fixture(scope="module", params=["packaged", *FAMILIES])
def chat(request: pytest.FixtureRequest) -> Iterator[HfChat]:
    try:
        yield chat_of(request.param)
    except NoTokenizer as reason:
        pytest.skip(f"no tokenizer of {request.param}: {reason}")


def lost_tokens(chat: HfChat, draft: str) -> list[int]:
    """Confirm a draft at every code point, and return how many stable ids do not lead the final ones each time."""
    turn = TurnPrompt(chat, Conversation((ChatMessage("user", "Hi"), ChatMessage("assistant", "Hello!"))), 100_000)
    final = turn.final(draft)
    stable = [turn.stable(draft[:end]) for end in range(1, len(draft))]
    return [len(ids) - ids.common(final) for ids in stable]


@pytest.mark.parametrize("kind", DRAFTS)
def test_few_flushes_in_every_script_and_in_code_have_wrong_ids_and_they_lose_the_last_block_at_most(
    chat: HfChat, kind: str
) -> None:
    lost = [tokens for draft in DRAFTS[kind] for tokens in lost_tokens(chat, draft)]
    assert sum(tokens > 0 for tokens in lost) <= MOST_WRONG * len(lost)
    assert max(lost) < BLOCK


def test_what_is_told_of_the_draft_is_what_the_cached_ids_cover(chat: HfChat) -> None:
    for draft in (drafts[0] for drafts in DRAFTS.values()):
        turn = TurnPrompt(chat, Conversation(), 100_000)
        stable, final = turn.stable(draft).to_list(), turn.final(draft).to_list()
        rendered = chat.render(Conversation().drafted(draft))
        before = rendered[: rendered.index(draft.strip())]
        for lacking in range(0, len(stable) - len(turn.base), 7):
            covered = turn.covered(len(draft), lacking)
            assert covered is not None
            part = chat.encode(before + draft[:covered])
            # At a cut within a character, or within white space that is one token, the last ones may differ.
            assert abs(common_length(part, final) - (len(stable) - lacking)) <= 3


def test_little_is_held_back(chat: HfChat) -> None:
    turn = TurnPrompt(chat, Conversation(), 100_000)
    for draft in (draft for drafts in DRAFTS.values() for draft in drafts):
        for end in range(1, len(draft)):
            body = len(turn.base) + len(chat.encode(draft[:end].strip()))
            assert len(turn.stable(draft[:end])) >= body - 8


def test_no_draft_here_is_one_that_is_measured_on() -> None:
    assert not {draft for drafts in DRAFTS.values() for draft in drafts} & set(SAMPLES)


PIECES = [text[start : start + 12] for text in AWKWARD_TEXTS.values() for start in range(0, min(len(text), 60), 12)]
PARTS = st.lists(st.sampled_from([*PIECES, *(d[:20] for drafts in DRAFTS.values() for d in drafts)]), max_size=5)
EDITS = st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 20), PARTS.map("".join)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edits=EDITS,
    start=st.lists(PARTS.map("".join), min_size=10, max_size=30).map("".join),
    piece=st.sampled_from([PIECE, 200]),
)
def test_a_text_tokenized_around_its_edits_has_the_ids_of_the_whole(
    chat: HfChat, edits: list[tuple[int, int, str]], start: str, piece: int
) -> None:
    growing, text = GrowingText(chat, piece=piece), start
    growing.tokens(text)
    for position, removed, added in edits:
        text = text[:position] + added + text[position + removed :]
        assert growing.tokens(text).ids.to_list() == chat.encode(text)
