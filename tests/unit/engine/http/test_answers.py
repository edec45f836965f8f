"""The events of vLLM's completions: what an answer is made of."""

import json
from typing import Any

import pytest
from forefill_service.chat.generation import Output, TokenLogprob, TokenLogprobs, ToolCallPart
from forefill_service.engine.http.answers import Completion
from forefill_service.engine.http.logprobs import LogprobsReader
from forefill_service.errors import EngineRefused, EngineUnavailable

IDS = [1, 2, 3]


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [f"data: {json.dumps(event)}".encode() for event in events]


def part(text: str, *ids: int, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"text": text, "token_ids": list(ids), "finish_reason": finish_reason}]}


def usage(cached_tokens: int | None) -> dict[str, Any]:
    details = None if cached_tokens is None else {"cached_tokens": cached_tokens}
    return {"choices": [], "usage": {"prompt_tokens": 3, "prompt_tokens_details": details}}


def read(*told: bytes, completion: Completion | None = None) -> tuple[list[Output], bool]:
    completion = completion or Completion()
    outputs = [output for line in told if (output := completion.take(line)) is not None]
    return outputs, completion.complete


OF_COMPLETION = {
    "text_offset": [0, 1],
    "tokens": ["token_id:7", "token_id:5"],
    "token_logprobs": [-3.0, -0.5],
    "top_logprobs": [{"token_id:7": -3.0, "token_id:5": -0.5, "token_id:6": -1.0}, {"token_id:5": -0.5}],
}
OF_CHAT = {
    "content": [
        {
            "token": "token_id:7",
            "logprob": -3.0,
            "top_logprobs": [
                {"token": "token_id:7", "logprob": -3.0},
                {"token": "token_id:5", "logprob": -0.5},
                {"token": "token_id:6", "logprob": -1.0},
            ],
        },
        {"token": "token_id:5", "logprob": -0.5, "top_logprobs": [{"token": "token_id:5", "logprob": -0.5}]},
    ]
}


@pytest.mark.parametrize("said", [OF_COMPLETION, OF_CHAT])
def test_logprobs_of_either_endpoint_are_read_alike(said: dict[str, Any]) -> None:
    event = {"choices": [{"text": "ca", "token_ids": [7, 5], "logprobs": said, "finish_reason": None}]}
    completion = Completion(logprobs=LogprobsReader(2, {5: "a", 6: "b", 7: "c"}.__getitem__))
    output = completion.take(lines(event)[0])
    a, b, c = TokenLogprob(5, "a", -0.5), TokenLogprob(6, "b", -1.0), TokenLogprob(7, "c", -3.0)
    assert output is not None
    assert output.logprobs == (TokenLogprobs(c, (a, b)), TokenLogprobs(a, (a,)))


def test_the_logprobs_of_the_last_part_come_with_it() -> None:
    last = part("b", 5, finish_reason="stop")
    last["choices"][0]["logprobs"] = {"content": OF_CHAT["content"][1:]}
    completion = Completion(logprobs=LogprobsReader(1, str))
    told = [completion.take(line) for line in (*lines(last, usage(0)), b"data: [DONE]")]
    assert told[-1] is not None
    assert told[-1].logprobs == (TokenLogprobs(TokenLogprob(5, "5", -0.5), (TokenLogprob(5, "5", -0.5),)),)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"content": [{"token": " a", "logprob": -0.5}]},
        OF_COMPLETION | {"token_logprobs": [-3.0]},
        {"content": [{"logprob": 1}]},
    ],
)
def test_logprobs_that_are_not_as_asked_for_are_refused_by_name(said: dict[str, Any]) -> None:
    reader = LogprobsReader(1, str)
    with pytest.raises(EngineRefused, match="logprobs"):
        reader.of(said)


def test_the_last_part_comes_with_the_usage() -> None:
    told = lines(part("a", 5), part("b", 6, finish_reason="length"), usage(2))
    outputs, complete = read(*told, b"", b"data: [DONE]")
    assert outputs == [Output("a", (5,), None), Output("b", (6,), 2, "length")]
    assert complete


def test_a_server_that_does_not_tell_what_it_found_cached_leaves_it_open() -> None:
    outputs, complete = read(*lines(part("a", 5, finish_reason="stop"), usage(None)), b"data: [DONE]")
    assert outputs == [Output("a", (5,), None, "stop")]
    assert complete


def test_a_chat_completion_says_the_ids_of_its_prompt_first_and_keeps_reasoning_apart() -> None:
    def event(finish_reason: str | None = None, ids: tuple[int, ...] = (), **delta: str) -> dict[str, Any]:
        return {"choices": [{"delta": delta, "token_ids": list(ids), "finish_reason": finish_reason}]}

    told = lines(
        event(role="assistant", content="") | {"prompt_token_ids": IDS},
        event(ids=(5,), reasoning="hm"),
        event(ids=(6,), content="a"),
        event("stop", ids=(7,)),
        usage(2),
    )
    outputs, complete = read(*told, b"data: [DONE]")
    assert outputs == [
        Output("", (), None, None, tuple(IDS)),
        Output("", (5,), None, reasoning="hm"),
        Output("a", (6,), None),
        Output("", (7,), 2, "stop"),
    ]
    assert complete


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_is_found_under_the_names_that_releases_give_it(field: str) -> None:
    told = lines({"choices": [{"delta": {field: "hm"}, "token_ids": [5]}]})
    assert read(*told)[0] == [Output("", (5,), None, reasoning="hm")]


def test_calls_of_tools_come_in_parts() -> None:
    def event(finish_reason: str | None = None, **call: Any) -> dict[str, Any]:
        return {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": finish_reason}]}

    told = lines(
        event(index=1, id="call-1", type="function", function={"name": "beds", "arguments": ""}),
        event("tool_calls", index=1, function={"arguments": "{}"}),
        usage(2),
    )
    assert read(*told, b"data: [DONE]")[0] == [
        Output("", (), None, tool_calls=(ToolCallPart(1, "call-1", "beds"),)),
        Output("", (), 2, "tool_calls", tool_calls=(ToolCallPart(1, arguments="{}"),)),
    ]


@pytest.mark.parametrize(
    "told",
    [
        [],
        lines(part("a", 5)),
        [*lines(part("a", 5), usage(0)), b"data: [DONE]"],
        lines(part("a", 5), part("b", 6, finish_reason="stop"), usage(0)),
    ],
)
def test_an_answer_that_breaks_off_is_not_complete(told: list[bytes]) -> None:
    assert read(*told)[1] is False


def test_comments_and_other_fields_of_the_stream_are_passed_over() -> None:
    assert read(b": ping", b"event: x", b"", b"data:") == ([], False)


def test_an_error_in_the_stream_is_raised() -> None:
    with pytest.raises(EngineUnavailable, match="HTTP status 500") as failed:
        read(*lines(part("a", 5), {"error": {"message": "it broke", "code": 500}}))
    assert "it broke" not in str(failed.value)


@pytest.mark.parametrize("error", ["boom", {"code": "overloaded"}, {"message": None}, ["x"]])
def test_errors_of_other_shapes_are_errors_all_the_same(error: object) -> None:
    with pytest.raises(EngineUnavailable):
        read(*lines({"error": error}))


def test_fields_that_are_null_say_nothing() -> None:
    assert read(*lines({"error": None, "choices": None, "usage": None})) == ([], False)
