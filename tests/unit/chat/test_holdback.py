"""How much of a text's end is held back, measured on tokenizers whose merges are known."""

import re
from collections.abc import Callable

import pytest
from forefill_service.chat.holdback import Holdback, class_of
from forefill_service.chat.samples import SAMPLES

Encode = Callable[[str], list[int]]


def by_pattern(pattern: str) -> Encode:
    """A tokenizer whose tokens are what a pattern finds."""
    return lambda text: [hash(token) for token in re.findall(pattern, text, re.DOTALL)]


characters = by_pattern(".")
words = by_pattern(r"\w+|\W")


def in_groups_from_the_right(text: str) -> list[int]:
    """A tokenizer by single characters, but for digits, which come in threes, counted from their end."""
    grouped = by_pattern(r"\d{1,3}(?=(?:\d{3})*(?!\d))|\D")
    return grouped(text)


@pytest.mark.parametrize("text", ["word", "word ", "7", "漢", "ไทย", "x\n", ""])
def test_a_tokenizer_by_characters_needs_nothing_held_back(text: str) -> None:
    assert Holdback.measured(characters).tokens(text) == 0


def test_a_tokenizer_by_words_needs_the_last_word() -> None:
    holdback = Holdback.measured(words)
    assert [holdback.tokens(text) for text in ("some wor", "some words ", "some words.")] == [1, 0, 0]


def test_digits_that_are_grouped_from_their_end_are_held_back() -> None:
    holdback = Holdback.measured(in_groups_from_the_right)
    assert holdback.tokens("1234567") >= 3
    assert holdback.tokens("a word") == 0


def test_a_tokenizer_that_changes_everything_is_not_held_back_without_end() -> None:
    def counting(text: str) -> list[int]:
        return [hash((len(text), character)) for character in text]

    assert Holdback.measured(counting).tokens("some words") == 8


def test_a_script_without_samples_is_held_back_as_the_worst() -> None:
    holdback = Holdback({"LATIN": 1, "THAI": 4}, unknown=4)
    assert holdback.tokens("Բարեւ") == 4
    assert holdback.tokens("hello") == 1


def test_fewer_cuts_measure_about_the_same() -> None:
    assert Holdback.measured(words, every=8).tokens("some wor") == 1


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a b", "LATIN"),
        ("e\u0301", "COMBINING"),
        ("パソ", "KATAKANA"),
        ("ー", "KATAKANA"),
        ("病", "CJK"),
        ("한", "HANGUL"),
        ("ก็", "THAI"),
        ("x ", "space"),
        ("x\r\n", "line break"),
        ("٣", "digit"),
        ("x.", "Po"),
        ("(", "Ps"),
        ("🎉", "So"),
    ],
)
def test_the_class_is_that_of_the_last_character(text: str, kind: str) -> None:
    assert class_of(text) == kind


def test_there_are_samples_of_twenty_scripts_and_styles() -> None:
    seen = {class_of(sample[: end + 1]) for sample in SAMPLES for end in range(len(sample))}
    assert len({kind for kind in seen if kind.isupper()}) >= 20
    assert {"space", "line break", "digit", "Po", "Ps", "Pe", "Sm", "So"} <= seen
