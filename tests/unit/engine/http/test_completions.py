"""The bodies of requests to vLLM's `/v1/completions` and `/v1/chat/completions`."""

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import ChatRequest, Priority, Request
from forefill_service.engine.http.completions import body, chat_body

IDS = [1, 2, 3]
SCHEMA = '{"type": "object"}'
ASKED = Conversation((ChatMessage("user", "Hi"),), {})


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
