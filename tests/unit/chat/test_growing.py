"""A growing text is tokenized around its edits, and its ids are those of the whole."""

import re
import unicodedata

import pytest
from forefill_service.chat.growing import PIECE, GrowingText
from forefill_service.chat.template import HfChat
from forefill_service.chat.token_ids import CHUNK
from forefill_service.errors import Reason, Refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.small_tokenizer import small_tokenizer
from tests.support.templates import CHATML


class Words:
    """A tokenizer by words, which counts the characters that it was given."""

    pattern = r" ?\w+|\s|[^\w\s]"

    def __init__(self) -> None:
        self.characters = 0
        self.longest = 0

    def encode(self, text: str) -> list[int]:
        return self.encode_with_ends(text)[0]

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]]:
        self.characters += len(text)
        self.longest = max(self.longest, len(text))
        found = list(re.finditer(self.pattern, text))
        return [hash(token[0]) & 0x7FFFFFFF for token in found], [token.end() for token in found]


class LookingBack(Words):
    """Gives every token an id that depends on how far the text's end is."""

    def encode_with_ends(self, text: str) -> tuple[list[int], list[int]]:
        ids, ends = super().encode_with_ends(text)
        return [(i + len(text) - end) & 0x7FFFFFFF for i, end in zip(ids, ends, strict=True)], ends


class Slow(Words):
    """Cannot tell where its tokens end."""

    def encode(self, text: str) -> list[int]:
        return super().encode_with_ends(text)[0]

    def encode_with_ends(self, text: str) -> None:  # type: ignore[override]
        return None


LONG = "the patients that were seen by a doctor in May, and why " * 500


def test_what_is_typed_at_the_end_costs_as_little_in_a_long_text_as_in_a_short_one() -> None:
    words = Words()
    growing = GrowingText(words)
    growing.tokens(LONG)
    words.characters = 0
    text = LONG + "now"
    assert growing.tokens(text).ids.to_list() == Words().encode(text)
    assert words.characters < 300


def test_an_edit_costs_what_comes_after_it() -> None:
    words = Words()
    growing = GrowingText(words)
    growing.tokens(LONG)
    words.characters = 0
    text = LONG[:-1000] + "never " + LONG[-1000:]
    assert growing.tokens(text).ids.to_list() == Words().encode(text)
    assert 1000 < words.characters < 1400


def test_no_more_than_a_piece_and_what_makes_it_sure_is_tokenized_at_once() -> None:
    words = Words()
    growing = GrowingText(words)
    for text in (LONG, "Now " + LONG, LONG[:9000] + "never " + LONG[9000:]):
        assert growing.tokens(text).ids.to_list() == Words().encode(text)
    assert len(LONG) > 6 * PIECE
    assert words.longest < PIECE + 300
    assert words.characters < 3.3 * len(LONG)


def test_a_piece_that_is_not_sure_costs_the_text_once_more() -> None:
    class Unsure(Words):
        """Gives tokens behind some place other ids, if it is not given all of the text."""

        def encode_with_ends(self, text: str) -> tuple[list[int], list[int]]:
            ids, ends = super().encode_with_ends(text)
            whole = text.startswith(LONG[:100])
            return [i if whole or len(text) < 5000 else i ^ 1 for i in ids], ends

    unsure = Unsure()
    assert GrowingText(unsure, piece=8192).tokens(LONG).ids.to_list() == Words().encode(LONG)
    assert unsure.characters < 2.5 * len(LONG)


@pytest.mark.parametrize("where", [PIECE - 1, PIECE, PIECE + 1, PIECE + 30, 2 * PIECE - 7])
def test_marks_that_are_put_in_order_across_a_cut_are_as_in_the_whole(where: int) -> None:
    def encoded(text: str) -> tuple[list[int], list[int]]:
        """Normalize, as some tokenizers do: a mark below comes before those above, however many there are."""
        found = list(re.finditer(r"\w+|.", unicodedata.normalize("NFC", text)))
        return [hash(token[0]) & 0x7FFFFFFF for token in found], [token.end() for token in found]

    class Marks(Words):
        def encode_with_ends(self, text: str) -> tuple[list[int], list[int]]:
            return encoded(text)

    text = ("x " * PIECE)[:where] + "q" + "\u0301" * 40 + "\u0323" + " y" * 600
    for length in (where + 20, where + 41, where + 43):
        growing = GrowingText(Marks())
        for typed in (text, text[:length], text):
            assert growing.tokens(typed).ids.to_list() == encoded(typed)[0]


@pytest.mark.parametrize("make", [Words, LookingBack, Slow])
@pytest.mark.parametrize(
    "text", [LONG + "x", LONG[:-3], "", "other", LONG[1:], LONG[: len(LONG) // 2], LONG.replace("May", "June", 1)]
)
def test_the_ids_are_those_of_the_whole_text(make: type[Words], text: str) -> None:
    growing = GrowingText(make())
    growing.tokens(LONG)
    assert growing.tokens(text).ids.to_list() == make().encode(text)


def test_versions_share_their_chunks_before_the_edit() -> None:
    growing = GrowingText(Words())
    before, after = growing.tokens(LONG).ids, growing.tokens(LONG + "now").ids
    shared = [a is b for a, b in zip(before.chunks, after.chunks, strict=False)]
    assert shared[:-2] == [True] * (len(before) // CHUNK - 2)


PIECES = [
    "a",
    "The",
    " patients",
    " ",
    "  ",
    "\n\n",
    ".",
    '":"',
    "7",
    "1234",
    "é",
    "e\u0301",
    "病院",
    "ไทย",
    "👩🏽‍🚀",
    "<|im_end|>",
]
EDITS = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 6), st.lists(st.sampled_from(PIECES), max_size=6).map("".join)),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(
    edits=EDITS,
    start=st.lists(st.sampled_from(PIECES), min_size=60, max_size=150).map("".join),
    piece=st.sampled_from([PIECE, 100, 33]),
)
def test_after_any_edits_the_ids_and_their_ends_are_those_of_the_whole_text(
    edits: list[tuple[int, int, str]], start: str, piece: int
) -> None:
    chat = HfChat(small_tokenizer(), CHATML)
    growing, text = GrowingText(chat, piece=piece), start
    growing.tokens(text)
    for position, removed, added in edits:
        text = text[:position] + added + text[position + removed :]
        made = growing.tokens(text)
        ids, ends = chat.encode_with_ends(text) or ([], [])
        assert made.ids.to_list() == ids == chat.encode(text)
        assert list(made.ends) == ends


def test_a_text_of_too_many_tokens_is_refused_and_what_begins_so_is_not_tokenized() -> None:
    words = Words()
    growing = GrowingText(words, most_tokens=1000)
    short = "the patients " * 400
    growing.tokens(short)
    for text in (short + LONG, short + LONG + " and more", short + LONG[:-200], short + LONG[:3000] + "x"):
        with pytest.raises(Refusal) as refusal:
            growing.tokens(text)
        assert refusal.value.reason is Reason.PROMPT_TOO_LONG
        if words.characters:
            first, words.characters = words.characters, 0
    assert first >= len(LONG)
    assert words.characters == 0
    assert growing.tokens(short + "x").ids.to_list() == Words().encode(short + "x")
    assert words.characters < 300, "the last one that fits is still known"


def test_a_text_that_is_just_too_long_may_become_shorter() -> None:
    growing = GrowingText(Words(), most_tokens=100)
    with pytest.raises(Refusal, match="101 tokens of 100"):
        growing.tokens(" a" * 101)
    assert len(growing.tokens(" a" * 100).ids) == 100
