"""How likely SUBMIT is to come before another change."""

import pytest
from forefill_service.session.likelihood import Typist


def typed(text: str, *, gap: float = 0.2, typist: Typist | None = None, start: float = 0.0) -> Typist:
    typist = typist or Typist()
    for index in range(len(text)):
        typist.changed(text[: index + 1], removed=False, now=start + index * gap)
    return typist


@pytest.mark.parametrize("text", ["What is this?", "and then", "and then ", "select 1;", "(yes)", "one,", "12", "a\n"])
def test_the_chance_never_falls_as_the_silence_grows(text: str) -> None:
    typist = typed(text)
    chances = [typist.p_end(tenths / 10) for tenths in range(600)]
    assert chances == sorted(chances)


def test_an_empty_draft_never_ends() -> None:
    assert Typist().p_end(30.0) == 0.0


def test_a_full_sentence_is_likelier_to_be_the_end_than_half_of_one() -> None:
    assert typed("Where is it?").p_end(0.0) > 3 * typed("Where is it").p_end(0.0)
