"""What vLLM never says in an answer: well-formed, of a wrong type or an impossible value, and what becomes of it."""

import json
import math
from typing import Any

import pytest
from forefill_service.chat.generation import Output
from forefill_service.engine.http.answers import Bounds, Completion
from forefill_service.engine.http.logprobs import LogprobsReader
from forefill_service.errors import EngineBusy, EngineNonsense, EngineRefused, EngineUnavailable

SURROGATE = "\ud83d"
DONE = b"data: [DONE]"


def line(**event: Any) -> bytes:
    return f"data: {json.dumps(event)}".encode()


def part(text: str, *ids: int, finish_reason: str | None = None) -> bytes:
    return line(choices=[{"text": text, "token_ids": list(ids), "finish_reason": finish_reason}])


def usage(cached_tokens: object) -> bytes:
    return line(choices=[], usage={"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": cached_tokens}})


def read(*told: bytes, completion: Completion | None = None) -> list[Output]:
    completion = completion or Completion()
    return [output for line in told if (output := completion.take(line)) is not None]


@pytest.mark.parametrize(
    "told",
    [
        b"data: <html>",
        b"data: {",
        b"data: " + b"[" * 100_000,
        b'data: {"choices": "\xff"}',
        b'data: {"usage": NaN}',
        b"data: 1" + 5000 * b"0",
        b"data: []",
        b"data: 7",
        b"data: null",
        b'data: "text"',
    ],
)
def test_what_is_no_object_in_json_is_nonsense(told: bytes) -> None:
    with pytest.raises(EngineNonsense, match=r"an event is not JSON|: event;"):
        read(told)


@pytest.mark.parametrize(
    "choices",
    [
        7,
        {},
        "text",
        [None],
        [7],
        [[]],
        [{"text": "a"}, {"text": "b", "index": 1}],
        [{"text": "a", "index": 1}],
        [{"text": "a", "index": "0"}],
        [{"text": 7}],
        [{"text": ["a"]}],
        [{"text": SURROGATE}],
        [{"text": "a", "token_ids": 5}],
        [{"text": "a", "token_ids": {"5": 5}}],
        [{"text": "a", "token_ids": ["5"]}],
        [{"text": "a", "token_ids": [5.0]}],
        [{"text": "a", "token_ids": [True]}],
        [{"text": "a", "token_ids": [None]}],
        [{"text": "a", "token_ids": [-1]}],
        [{"text": "a", "token_ids": [2**31]}],
        [{"text": "a", "token_ids": [10**400]}],
        [{"text": "a", "finish_reason": 7}],
        [{"text": "a", "finish_reason": ["stop"]}],
        [{"text": "a", "finish_reason": "eos_token"}],
        [{"text": "a", "finish_reason": SURROGATE}],
        [{"delta": "a"}],
        [{"delta": [{"content": "a"}]}],
        [{"delta": {"content": 7}}],
        [{"delta": {"content": SURROGATE}}],
        [{"delta": {"reasoning": {}}}],
        [{"delta": {"reasoning_content": SURROGATE}}],
        [{"delta": {"tool_calls": {}}}],
        [{"delta": {"tool_calls": [7]}}],
        [{"delta": {"tool_calls": [{"index": -1}]}}],
        [{"delta": {"tool_calls": [{"index": 2**32}]}}],
        [{"delta": {"tool_calls": [{"index": 0.0}]}}],
        [{"delta": {"tool_calls": [{"id": 7}]}}],
        [{"delta": {"tool_calls": [{"function": "beds"}]}}],
        [{"delta": {"tool_calls": [{"function": {"name": 7}}]}}],
        [{"delta": {"tool_calls": [{"function": {"arguments": {}}}]}}],
        [{"delta": {"tool_calls": [{"function": {"arguments": SURROGATE}}]}}],
    ],
)
def test_a_field_of_another_type_or_an_impossible_value_is_nonsense(choices: object) -> None:
    with pytest.raises(EngineNonsense, match=r"event\.choices"):
        read(line(choices=choices))


@pytest.mark.parametrize("prompt_ids", [7, "1", [1, "2"], [-1], [2**31], list(range(20))])
def test_so_are_prompts_that_cannot_be(prompt_ids: object) -> None:
    told = line(prompt_token_ids=prompt_ids, choices=[{"delta": {"content": ""}}])
    with pytest.raises(EngineNonsense, match="prompt_token_ids"):
        read(told, completion=Completion(bounds=Bounds(context_tokens=10)))


def test_ids_are_within_the_vocabulary() -> None:
    within = Bounds(vocabulary=8)
    assert read(part("a", 7), completion=Completion(bounds=within)) == [Output("a", (7,), None)]
    with pytest.raises(EngineNonsense, match="token_ids"):
        read(part("a", 8), completion=Completion(bounds=within))


@pytest.mark.parametrize("told", [[part("a")] * 200, [part("a", *range(200))]])
def test_an_answer_that_does_not_end_is_given_up_when_the_context_is_full(told: list[bytes]) -> None:
    with pytest.raises(EngineNonsense, match="more tokens than the context has"):
        read(*told, completion=Completion(bounds=Bounds(context_tokens=100)))


def test_the_ids_of_a_prompt_that_is_ours_are_not_the_servers_to_say() -> None:
    told = line(prompt_token_ids=[9, 9], choices=[{"text": "a", "token_ids": [5]}])
    assert read(told, completion=Completion(bounds=Bounds(prompt_tokens=3))) == [Output("a", (5,), None)]


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_an_engine_that_stops_is_as_good_as_lost(reason: str) -> None:
    with pytest.raises(EngineUnavailable, match="stopped before"):
        read(part("a", 5, finish_reason=reason))


def test_a_content_filter_is_a_refusal_and_no_end_of_a_whole_answer() -> None:
    with pytest.raises(EngineRefused, match="content filter"):
        read(part("a", 5, finish_reason="content_filter"))


def test_repetition_ends_a_whole_answer() -> None:
    assert read(part("a", 5, finish_reason="repetition"), usage(0), DONE) == [Output("a", (5,), 0, "stop")]


def test_events_that_bring_nothing_are_no_parts_but_for_the_one_that_begins_a_chat_completion() -> None:
    begins = line(choices=[{"delta": {"role": "assistant", "content": ""}}])
    assert read(line(choices=[]), part(""), begins, begins, line(usage=None)) == [Output("", (), None)]


@pytest.mark.parametrize("code", [True, "429", 99, 10**9, 2.5, None])
def test_a_failure_with_a_code_that_is_no_status_is_one_of_the_engine(code: object) -> None:
    with pytest.raises(EngineUnavailable, match="500"):
        read(line(error={"message": "x", "code": code}))


def test_a_failure_in_the_stream_is_the_one_of_its_status() -> None:
    with pytest.raises(EngineBusy):
        read(line(error={"message": "x", "code": 503}))


# --- once the text is whole

WHOLE = (part("a", 5), part("b", 6, finish_reason="stop"))


@pytest.mark.parametrize(
    "odd",
    [
        7,
        [],
        "x",
        {"prompt_tokens": -3},
        {"prompt_tokens": "3"},
        {"completion_tokens": 1.5},
        {"prompt_tokens": 3, "prompt_tokens_details": 7},
        {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": "2"}},
        {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": -1}},
        {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}},
        {"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": True}},
        {"prompt_tokens": 10**30, "prompt_tokens_details": {"cached_tokens": 10**30}},
    ],
)
def test_a_usage_that_cannot_be_is_one_that_is_not_reported(odd: object) -> None:
    completion = Completion(cached_tokens_if_missing=0)
    outputs = read(*WHOLE, line(choices=[], usage=odd), DONE, completion=completion)
    assert outputs == [Output("a", (5,), None), Output("b", (6,), None, "stop")]
    assert (completion.complete, completion.usage_is_odd) == (True, True)


def test_more_is_not_found_cached_than_was_asked_for() -> None:
    completion = Completion(bounds=Bounds(prompt_tokens=2))
    outputs = read(*WHOLE, usage(3), DONE, completion=completion)
    assert (outputs[-1].cached_tokens, completion.usage_is_odd) == (None, True)


@pytest.mark.parametrize("after", [b"data: <html>", b"data: 7", part("c", 7), part(SURROGATE), line(error={"code": 5})])
def test_what_comes_after_a_whole_text_takes_nothing_back(after: bytes) -> None:
    outputs = read(*WHOLE, after, usage(2), DONE)
    assert outputs == [Output("a", (5,), None), Output("b", (6,), 2, "stop")]


def test_a_whole_text_can_be_had_without_its_usage() -> None:
    completion = Completion()
    read(*WHOLE, completion=completion)
    assert (completion.has_last_part, completion.complete) == (True, False)
    assert completion.last_part() == Output("b", (6,), None, "stop")


# --- logprobs that cannot be


@pytest.mark.parametrize(
    ("token", "logprob"),
    [
        ("token_id:8", -1.0),
        ("token_id:-1", -1.0),
        ("token_id:", -1.0),
        ("token_id:\u0661", -1.0),
        ("token_id:" + "9" * 5000, -1.0),
        ("7", -1.0),
        (7, -1.0),
        (None, -1.0),
        ("token_id:7", "x"),
        ("token_id:7", True),
        ("token_id:7", 3.0),
        ("token_id:7", math.inf),
        ("token_id:7", -math.inf),
        ("token_id:7", math.nan),
        ("token_id:7", 10**400),
    ],
)
def test_a_logprob_of_no_token_or_of_no_probability_is_refused(token: object, logprob: object) -> None:
    reader = LogprobsReader(1, str, vocabulary=8)
    for said in (
        {"content": [{"token": token, "logprob": logprob}]},
        {"tokens": [token], "token_logprobs": [logprob], "top_logprobs": [None]},
    ):
        with pytest.raises(EngineRefused, match=r"leave Sampling\.logprobs out"):
            reader.of(said)


@pytest.mark.parametrize(
    "said",
    [
        7,
        "content",
        ["content"],
        {"content": 7},
        {"content": [7]},
        {"content": {"a": 1}},
        {"content": [{"token": "token_id:1", "logprob": -1.0, "top_logprobs": [7]}]},
        {"tokens": 7, "token_logprobs": [], "top_logprobs": []},
        {"tokens": ["token_id:1"], "token_logprobs": [-1.0], "top_logprobs": [7]},
    ],
)
def test_logprobs_of_another_shape_are_refused(said: object) -> None:
    with pytest.raises(EngineRefused, match=r"leave Sampling\.logprobs out"):
        LogprobsReader(1, str).of(said)


def test_a_logprob_is_between_the_least_and_zero() -> None:
    told = {"content": [{"token": "token_id:7", "logprob": found} for found in (1e-6, -1e30, None)]}
    assert [place.token.logprob for place in LogprobsReader(1, str).of(told)] == [0.0, -9999.0, -9999.0]
