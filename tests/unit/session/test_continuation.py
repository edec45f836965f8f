"""Which answers a second request can continue: each field of a sampling has its rule."""

from dataclasses import fields
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.session.continuation import CONTINUES, continuable

ALLOWED: dict[str, Any] = {
    "max_tokens": 9,
    "min_tokens": 9,
    "temperature": 0.8,
    "top_p": 0.9,
    "top_k": 5,
    "min_p": 0.1,
    "repetition_penalty": 1.2,
    "ignore_eos": True,
    "stop_token_ids": (7,),
    "include_stop_str_in_output": True,
    "logit_bias": ((5, 1.0),),
    "allowed_token_ids": (5, 6),
    "skip_special_tokens": False,
    "logprobs": 3,
}
FORBIDDEN: dict[str, Any] = {
    "presence_penalty": 0.1,
    "frequency_penalty": -0.1,
    "seed": 1,
    "stop": ("\n",),
    "bad_words": ("two words",),
    "structure": Structure("json", '{"type": "object"}'),
}


def test_every_field_of_a_sampling_has_a_rule_and_a_test() -> None:
    names = {field.name for field in fields(Sampling)}
    assert CONTINUES.keys() == names
    assert ALLOWED.keys() | FORBIDDEN.keys() == names


@pytest.mark.parametrize(("name", "value"), ALLOWED.items(), ids=ALLOWED.keys())
def test_what_each_token_is_drawn_by_alone_lets_another_request_go_on(name: str, value: Any) -> None:
    assert continuable(Sampling(**{name: value}))


@pytest.mark.parametrize(("name", "value"), FORBIDDEN.items(), ids=FORBIDDEN.keys())
def test_what_depends_on_the_answer_so_far_does_not(name: str, value: Any) -> None:
    assert not continuable(Sampling(**{name: value}))


def test_the_forbidden_values_forbid_it_beside_allowed_ones() -> None:
    assert continuable(Sampling(**ALLOWED))
    for name, value in FORBIDDEN.items():
        assert not continuable(Sampling(**ALLOWED | {name: value}))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(presence_penalty=0.0, frequency_penalty=0.0),
        Sampling(temperature=0.0, seed=1),
        Sampling(max_tokens=4, min_tokens=4),
    ],
)
def test_a_value_that_does_nothing_forbids_nothing(sampling: Sampling) -> None:
    assert continuable(sampling)
