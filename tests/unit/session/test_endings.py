"""How a draft ends."""

import pytest
from forefill_service.session.endings import Ending, ending_of, last_word_length

TEXTS = {
    "Done.": Ending.FINAL,
    "什么？": Ending.FINAL,
    "終わり。": Ending.FINAL,
    "and so…": Ending.FINAL,
    "select 1;": Ending.SEMICOLON,
    "f(x)": Ending.CLOSING,
    "“so”": Ending.CLOSING,
    "one,": Ending.COMMA,
    "c'": Ending.COMMA,
    "word": Ending.LETTER,
    "字": Ending.LETTER,
    "in 2026": Ending.DIGIT,
    "one ": Ending.SPACE,
    "one\n": Ending.NEWLINE,
    "well-": Ending.OTHER,
    "": Ending.OTHER,
}


@pytest.mark.parametrize(("text", "ending"), TEXTS.items())
def test_the_last_character_decides(text: str, ending: Ending) -> None:
    assert ending_of(text) is ending


def test_the_final_characters_are_a_setting() -> None:
    assert ending_of("over~", final_characters="~") is Ending.FINAL
    assert ending_of("over.", final_characters="~") is Ending.OTHER
    assert ending_of("select 1;", final_characters=";") is Ending.FINAL


@pytest.mark.parametrize(
    ("text", "length"), [("", 1), (" ", 1), ("a", 1), ("the end", 3), ("the end ", 3), ("x" * 99, 16)]
)
def test_the_last_word_is_measured_up_to_a_bound(text: str, length: int) -> None:
    assert last_word_length(text) == length
