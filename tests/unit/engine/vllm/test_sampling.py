"""The sampling that vLLM is asked for if the model has defaults of its own."""

from types import SimpleNamespace
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, Structure, TokenLogprob, TokenLogprobs
from forefill_service.engine.vllm.sampling import ModelSampling, logprobs_of


def test_the_limit_of_the_model_is_told() -> None:
    assert ModelSampling.of({}).max_tokens is None
    model = ModelSampling.of({"max_tokens": 7})
    assert model.max_tokens == 7
    assert "max_tokens" not in model.arguments(Sampling(max_tokens=5))


def test_what_the_session_leaves_open_is_the_models() -> None:
    arguments = ModelSampling.of({"temperature": 0.6, "top_k": 20}).arguments(Sampling(temperature=0.0))
    assert (arguments["temperature"], arguments["top_k"], arguments["top_p"]) == (0.0, 20, 1.0)


def test_all_that_a_session_may_say_is_passed_on() -> None:
    sampling = Sampling(
        temperature=0.5,
        top_p=0.5,
        top_k=3,
        min_p=0.1,
        presence_penalty=1.0,
        frequency_penalty=-1.0,
        repetition_penalty=1.1,
        seed=0,
        stop=("a", "b"),
        min_tokens=3,
        ignore_eos=True,
        stop_token_ids=(7, 8),
        include_stop_str_in_output=True,
        logit_bias=((5, -1.0),),
        allowed_token_ids=(5, 6),
        bad_words=("c",),
        skip_special_tokens=False,
        structure=Structure("choice", ("a", "b")),
        logprobs=2,
    )
    named_otherwise = ("max_tokens", "structure")
    said = {name: getattr(sampling, name) for name in Sampling.__dataclass_fields__ if name not in named_otherwise}
    assert ModelSampling.of({}).arguments(sampling) == said | {
        "stop": ["a", "b"],
        "stop_token_ids": [7, 8],
        "logit_bias": {5: -1.0},
        "allowed_token_ids": [5, 6],
        "bad_words": ["c"],
        "structured_outputs": {"choice": ["a", "b"]},
    }


def test_the_model_ends_answers_beside_what_the_session_names() -> None:
    model = ModelSampling.of({"stop_token_ids": [9, 7]})
    assert model.arguments(Sampling(stop_token_ids=(7, 8)))["stop_token_ids"] == [7, 8, 9]
    assert model.arguments(Sampling())["stop_token_ids"] == [9, 7]
    assert "stop_token_ids" not in ModelSampling.of({}).arguments(Sampling())


@pytest.mark.parametrize(
    ("defaults", "penalizes"),
    [
        ({}, False),
        ({"repetition_penalty": 1.1}, False),
        ({"presence_penalty": 1.5}, True),
        ({"frequency_penalty": 0.1}, True),
    ],
)
def test_it_says_whether_the_model_penalizes_what_the_answer_has_said(
    defaults: dict[str, float], penalizes: bool
) -> None:
    assert ModelSampling.of(defaults).penalizes is penalizes


def found(logprob: float, text: str | None) -> Any:
    return SimpleNamespace(logprob=logprob, decoded_token=text)


def test_the_likeliest_tokens_come_first_wherever_vllm_names_the_one_that_was_drawn() -> None:
    drawn_third = {7: found(-3.0, " c"), 5: found(-0.5, " a"), 6: found(-1.0, None)}
    part = SimpleNamespace(token_ids=[7], logprobs=[drawn_third])
    a, b, c = TokenLogprob(5, " a", -0.5), TokenLogprob(6, "", -1.0), TokenLogprob(7, " c", -3.0)
    assert logprobs_of(part, 2) == (TokenLogprobs(c, (a, b)),)
    assert logprobs_of(part, 3) == (TokenLogprobs(c, (a, b, c)),)
    assert logprobs_of(part, 0) == (TokenLogprobs(c, ()),)
    assert logprobs_of(part, None) == ()


def test_a_token_that_cannot_come_has_the_least_logprob_there_is() -> None:
    part = SimpleNamespace(token_ids=[7], logprobs=[{7: found(float("-inf"), "x")}])
    assert logprobs_of(part, 0)[0].token.logprob == -9999.0
