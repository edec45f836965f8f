"""What an engine's refusal is about: one sentence of a fixed list, whatever the engine says."""

import pytest
from forefill_service.engine.causes import CAUSES, NO_MODEL, NO_REASON, PROMPT_TOO_LONG, cause_of, cause_of_error
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("This model's maximum context length is 8192 tokens. However, your prompt contains 9000", PROMPT_TOO_LONG),
        ("The decoder prompt (length 9) is longer than the maximum model length of 8.", PROMPT_TOO_LONG),
        ("The model `sql` does not exist.", NO_MODEL),
        ("temperature must be in [0, 2], got 5.0. (parameter=temperature, value=5.0)", "this value of temperature"),
        ("presence_penalty must be in [-2, 2], got 3.", "this value of presence_penalty"),
        ("token_id(s) [99] in logit_bias contain out-of-vocab token ids.", "this value of logit_bias"),
        ("allowed_token_ids contains out-of-vocab token id!", "this value of allowed_token_ids"),
        ("Requested sample logprobs of 30 (parameter=logprobs, value=30)", "more logprobs"),
        ("The min_p sampling parameters are not yet supported with speculative decoding.", "drafts tokens"),
        ("The JSON schema is nested too deeply", "nested too deeply"),
        ("The provided JSON schema contains features not supported by xgrammar.", "JSON Schema"),
        ("Invalid JSON grammar specification.", "JSON Schema"),
        ("Failed to compile regex: (a", "regular expression"),
        ("Grammar error: no root", "grammar"),
        ("You must use one kind of structured outputs constraint but none: {'regex': None}", "the structure"),
        ('"auto" tool choice requires --enable-auto-tool-choice', "without a parser"),
        ("/opt/vllm/secret.py", NO_REASON),
        ("", NO_REASON),
    ],
)
def test_what_vllm_says_is_known_by_what_it_is_about(words: str, cause: str) -> None:
    assert cause in cause_of(words)


@pytest.mark.parametrize(
    ("parameter", "cause"),
    [("temperature", "temperature"), ("body.messages.0.role", "messages"), ("input_tokens", PROMPT_TOO_LONG)],
)
def test_the_field_that_it_blames_counts_first(parameter: str, cause: str) -> None:
    assert cause in cause_of("regex", parameter)


def test_an_exception_of_vllms_names_its_parameter() -> None:
    class Refused(Exception):
        parameter = "bad_words"

    assert "bad_words" in cause_of_error(Refused("zyzzyva"))
    assert cause_of_error(RuntimeError("zyzzyva")) == NO_REASON


@given(st.text(), st.text())
def test_nothing_else_is_ever_said(words: str, parameter: str) -> None:
    assert cause_of(words, parameter) in CAUSES
