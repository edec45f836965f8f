"""Where an answer of the fake engine ends."""

import pytest
from forefill_service.engine.fake.chat import cut_at

WORDS = ["w1", " w22", " w3"]


@pytest.mark.parametrize(
    ("stops", "expected"),
    [
        ([], (WORDS, "length")),
        (["nowhere"], (WORDS, "length")),
        (["w3"], (["w1", " w22", " "], "stop")),
        (["2 w", "w3"], (["w1", " w2"], "stop")),
        ([" w22"], (["w1"], "stop")),
        (["w1"], ([""], "stop")),
    ],
)
def test_it_ends_before_the_first_stop_text(stops: list[str], expected: tuple[list[str], str]) -> None:
    assert cut_at(list(WORDS), "length", stops) == expected
