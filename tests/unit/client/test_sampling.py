"""How the sampling of a session is said on the wire."""

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import (
    CacheScope,
    PregenerationMode,
    Sampling,
    WarmMode,
)
from forefill_client.options import open_request


def on_the_wire(sampling: Sampling | None) -> pb.Sampling:
    opening = open_request(
        [], sampling, "", WarmMode.AUTO, CacheScope.SHARED, "", None, PregenerationMode.AUTO, "", b""
    )
    return opening.sampling


@pytest.mark.parametrize("sampling", [None, Sampling()])
def test_what_is_left_open_is_not_said(sampling: Sampling | None) -> None:
    assert on_the_wire(sampling) == pb.Sampling()


def test_a_value_that_is_the_servers_default_is_said_if_it_is_given() -> None:
    assert on_the_wire(Sampling(temperature=0, min_tokens=0)) == pb.Sampling(temperature=0, min_tokens=0)


def test_its_repr_shows_what_was_given() -> None:
    assert repr(Sampling()) == "Sampling()"
    assert (
        repr(Sampling(max_tokens=3, stop="END", temperature=0)) == "Sampling(max_tokens=3, temperature=0, stop='END')"
    )


def test_everything_is_said() -> None:
    sampling = Sampling(
        max_tokens=9,
        min_tokens=2,
        ignore_eos=True,
        stop=["a", "b"],
        stop_token_ids=[7],
        include_stop_str_in_output=True,
        logit_bias={5: -1.5},
        allowed_token_ids=(5, 6),
        bad_words=["c"],
        skip_special_tokens=False,
    )
    assert on_the_wire(sampling) == pb.Sampling(
        max_tokens=9,
        min_tokens=2,
        ignore_eos=True,
        stop=["a", "b"],
        stop_token_ids=[7],
        include_stop_str_in_output=True,
        logit_bias={5: -1.5},
        allowed_token_ids=(5, 6),
        bad_words=["c"],
        skip_special_tokens=False,
    )


def test_a_single_text_is_one_text_and_not_its_letters() -> None:
    assert on_the_wire(Sampling(stop="END", bad_words="no")) == pb.Sampling(stop=["END"], bad_words=["no"])
