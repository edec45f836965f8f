"""The bodies of vLLM's `/v1/completions`."""

import json
from typing import Any

import pytest
from forefill_service.chat.generation import Sampling, Structure, TokenLogprob, TokenLogprobs, ToolCallPart
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import ChatRequest, Output, Priority, Request
from forefill_service.engine.http.completions import Completion, NotOffered, NotServed, body, chat_body, failure
from forefill_service.engine.http.logprobs import LogprobsReader
from forefill_service.errors import EngineBusy, EngineError, EngineRefused, EngineUnavailable

IDS = [1, 2, 3]
SCHEMA = '{"type": "object"}'
ASKED = Conversation((ChatMessage("user", "Hi"),), {})


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [f"data: {json.dumps(event)}".encode() for event in events]


def part(text: str, *ids: int, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"text": text, "token_ids": list(ids), "finish_reason": finish_reason}]}


def usage(cached_tokens: int | None) -> dict[str, Any]:
    details = None if cached_tokens is None else {"cached_tokens": cached_tokens}
    return {"choices": [], "usage": {"prompt_tokens": 3, "prompt_tokens_details": details}}


def read(*told: bytes) -> tuple[list[Output], bool]:
    completion = Completion()
    outputs = [output for line in told if (output := completion.take(line)) is not None]
    return outputs, completion.complete


def test_a_generation_asks_for_text_and_ids_and_says_no_more_than_the_caller_did() -> None:
    asked = body(Request(IDS, Sampling(max_tokens=5), Priority.GENERATION, "salt"), "m", 5, priorities=True)
    assert asked == {
        "model": "m",
        "prompt": IDS,
        "max_tokens": 5,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_token_ids": True,
        "cache_salt": "salt",
    }


def test_all_that_a_caller_may_say_is_passed_on() -> None:
    sampling = Sampling(
        temperature=0.0,
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
        structure=Structure("json", SCHEMA),
        logprobs=2,
    )
    asked = body(Request(IDS, sampling, Priority.GENERATION), "m", 5, priorities=True)
    named_otherwise = ("max_tokens", "structure")
    said = {name: getattr(sampling, name) for name in Sampling.__dataclass_fields__ if name not in named_otherwise}
    assert asked["structured_outputs"] == {"json": SCHEMA}
    assert {name: asked[name] for name in said} == said | {
        "stop": ["a", "b"],
        "stop_token_ids": [7, 8],
        "logit_bias": {5: -1.0},
        "allowed_token_ids": [5, 6],
        "bad_words": ["c"],
    }
    assert "cache_salt" not in asked


def test_a_warm_goes_below_and_does_not_ask_for_ids() -> None:
    warm = Request(IDS, Sampling(max_tokens=1, temperature=0.0), Priority.WARM)
    assert body(warm, "m", 1, priorities=True)["priority"] == Priority.WARM
    assert "return_token_ids" not in body(warm, "m", 1, priorities=True)
    assert "priority" not in body(warm, "m", 1, priorities=False)


@pytest.mark.parametrize(("adapter", "model"), [("", "m"), ("sql", "sql")])
def test_an_adapter_is_asked_for_as_a_model_of_its_name(adapter: str, model: str) -> None:
    request = Request(IDS, Sampling(), Priority.GENERATION, adapter=adapter)
    assert body(request, "m", 5, priorities=True)["model"] == model
    chat = ChatRequest(ASKED, Sampling(), Priority.GENERATION, adapter=adapter)
    assert chat_body(chat, "m", priorities=True)["model"] == model


def test_a_structure_is_asked_of_the_chat_endpoint_as_of_completions() -> None:
    chat = ChatRequest(ASKED, Sampling(structure=Structure("choice", ("a", "b"))), Priority.GENERATION)
    assert chat_body(chat, "m", priorities=True)["structured_outputs"] == {"choice": ["a", "b"]}


@pytest.mark.parametrize("likeliest", [0, 3])
def test_logprobs_are_asked_for_as_each_endpoint_takes_them(likeliest: int) -> None:
    sampling = Sampling(logprobs=likeliest)
    asked = body(Request(IDS, sampling, Priority.GENERATION), "m", 5, priorities=True)
    assert (asked["logprobs"], asked["return_tokens_as_token_ids"]) == (likeliest, True)
    asked = chat_body(ChatRequest(ASKED, sampling, Priority.GENERATION), "m", priorities=True)
    assert (asked["logprobs"], asked["top_logprobs"], asked["return_tokens_as_token_ids"]) == (True, likeliest, True)


def test_logprobs_are_not_asked_for_unless_the_caller_does() -> None:
    asked = body(Request(IDS, Sampling(), Priority.GENERATION), "m", 5, priorities=True)
    assert not {"logprobs", "top_logprobs", "return_tokens_as_token_ids"} & asked.keys()


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
    with pytest.raises(EngineUnavailable, match="it broke"):
        read(*lines(part("a", 5), {"error": {"message": "it broke", "code": 500}}))


@pytest.mark.parametrize("error", ["boom", {"code": "overloaded"}, {"message": None}, ["x"]])
def test_errors_of_other_shapes_are_errors_all_the_same(error: object) -> None:
    with pytest.raises(EngineUnavailable):
        read(*lines({"error": error}))


def test_fields_that_are_null_say_nothing() -> None:
    assert read(*lines({"error": None, "choices": None, "usage": None})) == ([], False)


def test_what_is_no_json_is_a_loss() -> None:
    with pytest.raises(EngineUnavailable, match="not JSON"):
        read(b"data: <html>")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, EngineRefused),
        (401, NotServed),
        (404, NotOffered),
        (501, NotOffered),
        (529, EngineUnavailable),
        (422, EngineRefused),
        (429, EngineBusy),
        (503, EngineBusy),
        (500, EngineUnavailable),
        (502, EngineUnavailable),
        (504, EngineUnavailable),
    ],
)
def test_each_http_status_is_one_error(status: int, error: type[EngineError]) -> None:
    assert type(failure(status, {"error": {"message": "why"}})) is error


@pytest.mark.parametrize(
    "said", [{"error": {"message": "why\nso"}}, {"message": "why so"}, "why\n\nso\n", {"error": "why so"}]
)
def test_what_a_server_says_becomes_one_line(said: object) -> None:
    assert str(failure(400, said)) == "why so"


def test_a_long_complaint_is_cut() -> None:
    assert len(str(failure(400, "x" * 10_000))) == 300
    assert str(failure(400, "")) == "no reason given"
