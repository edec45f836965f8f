"""What stands in the draft before a typist notices."""

from collections import Counter
from random import Random
from string import ascii_lowercase

import pytest
from forefill_client.keystrokes import QWERTY
from forefill_client.keystrokes.typos import NEIGHBOUR_SHARE, TYPO_WEIGHTS, Typo, mistyped
from hypothesis import given
from hypothesis import strategies as st

TEXT = "patients"


def kind_of(made: str, position: int, length: int) -> Typo | None:
    meant, ahead = TEXT[position : position + length], TEXT[position : position + length + 1]
    if made == ahead[1:]:
        return Typo.OMISSION
    if made == meant[1::-1] + meant[2:]:
        return Typo.TRANSPOSITION
    if made[1:] == meant[1:]:
        return Typo.SUBSTITUTION
    return Typo.INSERTION if made[1:] == meant[:-1] else None


def test_the_kinds_come_as_often_as_they_should() -> None:
    rng = Random(1)
    kinds = Counter(kind_of(mistyped(TEXT, 1, 3, rng, QWERTY), 1, 3) for _ in range(4000))
    assert set(kinds) == set(Typo)
    for typo, weight in TYPO_WEIGHTS.items():
        assert kinds[typo] / 4000 == pytest.approx(weight / sum(TYPO_WEIGHTS.values()), abs=0.03)


def test_wrong_letters_lie_beside_the_right_one_as_often_as_in_the_log() -> None:
    rng = Random(1)
    wrong = [mistyped("s", 0, 1, rng, QWERTY) for _ in range(4000)]
    assert sum(letter in QWERTY.neighbours("s") for letter in wrong) / 4000 == pytest.approx(NEIGHBOUR_SHARE, abs=0.03)
    assert set(wrong) == set(ascii_lowercase) - {"s"}


def test_a_capital_is_mistyped_as_a_capital() -> None:
    assert all(mistyped("S", 0, 1, Random(seed), QWERTY).isupper() for seed in range(50))


def test_without_a_keyboard_a_typo_is_any_other_letter_in_place_of_the_first() -> None:
    rng = Random(1)
    made = [mistyped(TEXT, 1, 3, rng, None) for _ in range(500)]
    assert {text[1:] for text in made} == {"ti"}
    assert {text[0] for text in made} == set(ascii_lowercase) - {"a"}


@given(st.text(min_size=1, max_size=8), st.data())
def test_what_is_mistyped_is_never_right_nor_longer_than_what_was_meant(text: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(1, 8))
    made = mistyped(text, position, length, Random(data.draw(st.integers())), QWERTY)
    meant = text[position : position + length]
    assert made
    assert made != meant
    assert len(made) <= len(meant)
