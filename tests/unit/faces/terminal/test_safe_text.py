"""Text from a model or a clipboard: shown, never obeyed."""

import unicodedata

import pytest
from forefill_chat.terminal.safe_text import REORDERING, shown, shown_in_place

ALL_CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


@pytest.mark.parametrize(
    ("text", "on_screen"),
    [
        ("plain – text, “é”, 患者, 👍", "plain – text, “é”, 患者, 👍"),
        ("\x1b[2J\x1b]52;c;aGk=\x07", "␛[2J␛]52;c;aGk=␇"),
        ("a\x9b31m", "a⟨U+009B⟩31m"),
        ("user\u202etxt.exe", "user⟨U+202E⟩txt.exe"),
        ("\u2066a\u2069", "⟨U+2066⟩a⟨U+2069⟩"),
        ("one\u2028two", "one⟨U+2028⟩two"),
        ("one\r\ntwo\rthree", "one\ntwo␍three"),
        ("\x7f", "␡"),
        ("\ud800x", "�x"),
        ("a\tb", "a   b"),
        ("שלום\u200f!", "שלום\u200f!"),
        ("[bold]not markup[/bold]", "[bold]not markup[/bold]"),
    ],
)
def test_what_is_on_the_screen(text: str, on_screen: str) -> None:
    assert shown(text) == on_screen


def test_no_control_and_no_reordering_is_left_but_line_breaks() -> None:
    text = shown("".join([*ALL_CONTROLS, *map(chr, REORDERING)]))
    assert {char for char in text if unicodedata.category(char) in ("Cc", "Cf")} == {"\n"}


def test_in_the_box_each_code_point_keeps_its_place() -> None:
    line = "".join([*(char for char in ALL_CONTROLS if char not in "\n\t"), "\ud800\u202e", "é👍"])
    in_place = shown_in_place(line)
    assert len(in_place) == len(line)
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in in_place)
    assert in_place.endswith("é👍")
    assert shown_in_place("a\tb") == "a\tb"  # the box itself sets tabs
