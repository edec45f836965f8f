"""The name of a place on the wire."""

from forefill_service.fleet.resume_token import name_for, token_of

NAMES = [f"http://10.0.0.{number}:8000#{rank}" for number in range(40) for rank in range(2)]


def test_a_token_stands_for_the_name_that_it_was_made_of() -> None:
    assert [name_for(token_of(name), NAMES) for name in NAMES] == NAMES


def test_it_is_the_same_in_every_release() -> None:
    assert token_of("http://10.0.0.7:8000") == "1.b7712637"


def test_it_holds_nothing_of_the_name() -> None:
    for name in NAMES:
        version, _, rest = token_of(name).partition(".")
        assert version == "1"
        assert len(rest) == 8
        assert set(rest) <= set("0123456789abcdef")


def test_a_token_of_nothing_here_stands_for_nothing() -> None:
    for token in ("", token_of("elsewhere"), "2" + token_of(NAMES[0])[1:], token_of(NAMES[0]) + "0", "\ud800", "1."):
        assert name_for(token, NAMES) is None
