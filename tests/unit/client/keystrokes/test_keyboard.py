"""The layout under a typist's fingers."""

import pytest
from forefill_client.keystrokes import QWERTY
from forefill_client.keystrokes.keyboard import MEAN_PAIR_MS, PUBLISHED_PAIR_MS, HandPair

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("char", "beside"), [("s", "weadzx"), ("g", "tyfhvb"), ("p", "0ol"), ("q", "12wa"), ("S", "weadzx"), ("é", "")]
)
def test_the_keys_beside_a_key(char: str, beside: str) -> None:
    assert set(QWERTY.neighbours(char)) == set(beside)


def test_neighbours_are_mutual_and_no_key_is_its_own() -> None:
    for one in LETTERS:
        assert one not in QWERTY.neighbours(one)
        assert all(one in QWERTY.neighbours(other) for other in QWERTY.neighbours(one))


@pytest.mark.parametrize(
    ("pair", "hands", "overlap"),
    [
        ("th", HandPair.ALTERNATION, True),
        ("as", HandPair.LEFT_HAND, True),
        ("ed", HandPair.LEFT_HAND, False),  # one finger
        ("in", HandPair.RIGHT_HAND, True),
        ("un", HandPair.RIGHT_HAND, False),
        ("ll", HandPair.REPETITION, False),
        ("Ll", HandPair.REPETITION, False),
        ("e ", None, True),  # the thumb
        (" w", None, True),
        ("  ", None, False),
        ("aé", None, False),
    ],
)
def test_hands_and_fingers_of_a_pair(pair: str, hands: HandPair | None, overlap: bool) -> None:
    before, char = pair[0], pair[1]
    assert QWERTY.hands(before, char) is hands
    assert QWERTY.can_overlap(before, char) is overlap
    assert QWERTY.pair_factor(before, char) == (PUBLISHED_PAIR_MS[hands] / MEAN_PAIR_MS if hands else 1.0)


def test_all_letters_have_a_finger_and_a_place() -> None:
    assert all(QWERTY.neighbours(letter) for letter in LETTERS)
    assert all(QWERTY.hands(letter, letter) is HandPair.REPETITION for letter in LETTERS)


def test_it_is_shown_by_its_first_row_of_letters() -> None:
    assert repr(QWERTY) == "<Keyboard qwertyuiop>"
