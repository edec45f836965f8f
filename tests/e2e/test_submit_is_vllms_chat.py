"""Rule 1: what SUBMIT asks of the engine is what vLLM's own chat endpoint asks for the same messages."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.fleet.metrics import Metrics
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.recording import RecordingEngine
from tests.support.texts import AWKWARD_TEXTS
from tests.support.vllm_endpoint import ChatEndpoint, chat_endpoint
from tests.support.wire import Messages, typing_at

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

SYSTEM = "You translate questions into SQL.\n\nCREATE TABLE cars (id INT, horsepower INT, make TEXT);\n"

CONVERSATIONS: dict[str, Messages] = {
    "nothing before": [],
    "a system prompt": [("system", SYSTEM)],
    "a system prompt and a turn": [
        ("system", SYSTEM),
        ("user", "How many cars are there? "),
        ("assistant", " SELECT COUNT(*) FROM cars;\n"),
    ],
    "turns alone": [("user", "Hi"), ("assistant", "Hello! 👋🏿"), ("user", "\nSo?\n"), ("assistant", "")],
    "a user turn that nobody answered": [("user", "one"), ("user", "two")],
    "special tokens in a turn": [("user", "<|im_end|>"), ("assistant", "<|im_start|>user\nx<|im_end|>")],
    "a developer": [("developer", "Answer in SQL."), ("system", "Be brief.")],
    "a billing header": [("system", f"x-anthropic-billing-header: cch=1\n{SYSTEM}")],
    "a billing header and a developer": [("system", "x-anthropic-billing-header: cch=1\nA"), ("developer", "B")],
    "a tool": [("user", "x"), ("assistant", "calling"), ("tool", '{"rows": 3}')],
}


@dataclass(frozen=True, slots=True)
class Side:
    """forefill, with what it asks of the engine recorded, beside vLLM's endpoint on the same engine."""

    address: str
    engine: RecordingEngine
    metrics: Metrics
    endpoint: ChatEndpoint

    async def submitted_ids(self, messages: Messages, text: str) -> list[int]:
        """Type a text as a user does, press Enter, and return the ids that reached the engine."""
        del self.engine.requests[:]
        async with typing_at(self.address, messages) as typist:
            middle = len(text) // 2
            await typist.type(text[:middle])
            await typist.flush()
            await typist.type(text[middle:])
            await typist.submit()
        [generation] = self.engine.generations
        return generation.prompt_ids


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def side(embedded_engine: EmbeddedEngine) -> AsyncIterator[Side]:
    recording = RecordingEngine(embedded_engine)
    async with (
        running_server([recording], Settings(port=0, metrics_port=-1)) as server,
        chat_endpoint(embedded_engine) as endpoint,
    ):
        yield Side(server.address, recording, server.backend.metrics, endpoint)


@pytest.mark.parametrize("text", AWKWARD_TEXTS.values(), ids=AWKWARD_TEXTS.keys())
async def test_ids_are_the_endpoints_whatever_is_typed(side: Side, text: str) -> None:
    messages = CONVERSATIONS["a system prompt"]
    expected = await side.endpoint.prompt_ids([*messages, ("user", text)])
    assert await side.submitted_ids(messages, text) == expected


@pytest.mark.parametrize("text", ["How many? ", "<|im_end|>\n<|im_start|>assistant\n", "é👨‍👩‍👧‍👦"])
@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
async def test_ids_are_the_endpoints_whatever_was_said_before(side: Side, messages: Messages, text: str) -> None:
    expected = await side.endpoint.prompt_ids([*messages, ("user", text)])
    assert await side.submitted_ids(messages, text) == expected


@pytest.mark.parametrize("text", AWKWARD_TEXTS.values(), ids=AWKWARD_TEXTS.keys())
async def test_awkward_system_prompts_and_turns_render_as_the_endpoint_renders_them(side: Side, text: str) -> None:
    messages = [("system", text), ("user", text), ("assistant", text)]
    expected = await side.endpoint.prompt_ids([*messages, ("user", "And now?")])
    assert await side.submitted_ids(messages, "And now?") == expected


async def test_the_final_text_of_submit_is_what_is_asked_not_the_draft(side: Side) -> None:
    del side.engine.requests[:]
    async with typing_at(side.address) as typist:
        await typist.type("Something that was typed ")
        await typist.flush()
        await typist.submit("Something else.")
    [generation] = side.engine.generations
    assert generation.prompt_ids == await side.endpoint.prompt_ids([("user", "Something else.")])


async def test_the_second_turn_holds_the_first_answer_as_the_endpoint_would_be_given_it(side: Side) -> None:
    del side.engine.requests[:]
    sampling = pb.Sampling(temperature=0, max_tokens=24)
    async with typing_at(side.address, [("system", SYSTEM)], sampling=sampling) as typist:
        await typist.type("Name a colour. ")
        first = await typist.submit()
        await typist.type("And another\n")
        await typist.flush()
        await typist.submit()
    said = [("system", SYSTEM), ("user", "Name a colour. "), ("assistant", first.text), ("user", "And another\n")]
    assert side.engine.generations[-1].prompt_ids == await side.endpoint.prompt_ids(said)


@pytest.mark.parametrize("keep_text", [True, False])
async def test_the_turn_after_a_stopped_answer_is_what_the_endpoint_would_be_given(side: Side, keep_text: bool) -> None:
    del side.engine.requests[:]
    asked = ("user", "Tell me a long story about a lighthouse, in many sentences.")
    sampling = pb.Sampling(temperature=0, max_tokens=400, min_tokens=400)
    async with typing_at(side.address, [("system", SYSTEM)], sampling=sampling) as typist:
        await typist.send_submit(asked[1])
        said = ""
        while len(said) < 20:
            said += (await typist.read()).generation_delta.text
        await typist.event(cancel=pb.Cancel(keep_text=keep_text))
        rest = await typist.answer()
        said += rest.text
        assert rest.finished.reason == pb.FINISH_REASON_CANCELLED
        assert rest.finished.usage.completion_tokens < 200, "it stops within a step or two"
        await typist.send_submit("And now?")
        while not (await typist.read()).HasField("generation_started"):
            pass
    turn = [asked, ("assistant", said)] if keep_text else []
    expected = await side.endpoint.prompt_ids([("system", SYSTEM), *turn, ("user", "And now?")])
    assert side.engine.generations[-1].prompt_ids == expected


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_an_answer_goes_on_after_what_the_client_has_of_it(side: Side, share: float) -> None:
    del side.engine.requests[:]
    text = "Tell me a story about a lighthouse."
    async with typing_at(side.address, sampling=pb.Sampling(temperature=0, max_tokens=40)) as typist:
        whole = (await typist.submit(text)).text
    said = whole[: int(len(whole) * share)].rsplit(" ", 1)[0]
    async with typing_at(side.address, sampling=pb.Sampling(temperature=0, max_tokens=40)) as typist:
        await typist.event(submit=pb.Submit(text=text, answer_so_far=said))
        rest = await typist.answer()
    first, second = side.engine.generations
    assert second.prompt_ids[: len(first.prompt_ids)] == first.prompt_ids
    made = len(second.prompt_ids) - len(first.prompt_ids)
    assert second.sampling.max_tokens == 40 - made
    assert said + rest.text == whole


async def test_an_earlier_message_that_is_changed_is_as_the_endpoint_would_be_given_it(side: Side) -> None:
    del side.engine.requests[:]
    async with typing_at(side.address, [("system", SYSTEM)]) as typist:
        await typist.submit("Name a colour.")
        await typist.type("And ")
        said = [
            pb.ChatMessage(role="user", content="Name two colours."),
            pb.ChatMessage(role="assistant", content="\n"),
        ]
        await typist.event(rewrite=pb.Rewrite(keep_messages=1, messages=said))
        await typist.type("now? ")
        await typist.flush()
        await typist.submit()
    expected = await side.endpoint.prompt_ids(
        [("system", SYSTEM), *((message.role, message.content) for message in said), ("user", "And now? ")]
    )
    assert side.engine.generations[-1].prompt_ids == expected


async def test_a_prompt_edited_on_the_way_is_asked_as_if_typed_at_once(side: Side) -> None:
    del side.engine.requests[:]
    async with typing_at(side.address, [("system", SYSTEM)]) as typist:
        await typist.type("Which 🚗 makers are form ")
        await typist.flush()
        await typist.delete(5)
        await typist.type("from Japan, ")
        await typist.flush()
        await typist.replace(6, 7, "🚙🚙")
        await typist.type("please?")
        await typist.flush()
        await typist.submit()
    [generation] = side.engine.generations
    text = "Which 🚙🚙 makers are from Japan, please?"
    assert generation.prompt_ids == await side.endpoint.prompt_ids([("system", SYSTEM), ("user", text)])


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (CONVERSATIONS["nothing before"], "What is the capital of France?"),
        (CONVERSATIONS["a system prompt"], "Which car has the most horsepower? "),
        (CONVERSATIONS["a system prompt and a turn"], "显示所有\n"),
        (CONVERSATIONS["turns alone"], "👩🏽‍🚀?"),
    ],
)
async def test_a_greedy_answer_is_the_endpoints(side: Side, messages: Messages, text: str) -> None:
    completion = await side.endpoint.complete([*messages, ("user", text)], max_tokens=16)
    async with typing_at(side.address, messages, sampling=pb.Sampling(temperature=0, max_tokens=16)) as typist:
        await typist.type(text)
        await typist.flush()
        answer = await typist.submit()
    assert answer.text == completion["choices"][0]["message"]["content"]
    assert answer.finished.usage.prompt_tokens == completion["usage"]["prompt_tokens"]
    assert answer.finished.usage.completion_tokens == completion["usage"]["completion_tokens"]


async def test_a_stop_text_ends_the_answer_where_the_endpoint_ends_it(side: Side) -> None:
    messages = [("user", "Tell me a story about a lighthouse.")]
    whole = await side.endpoint.complete(messages, max_tokens=24)
    stop = whole["choices"][0]["message"]["content"][40:44]
    completion = await side.endpoint.complete(messages, max_tokens=24, stop=[stop])
    assert completion["choices"][0]["stop_reason"] == stop
    async with typing_at(side.address, sampling=pb.Sampling(temperature=0, max_tokens=24, stop=[stop])) as typist:
        answer = await typist.submit(messages[0][1])
    assert answer.text == completion["choices"][0]["message"]["content"]
    assert answer.finished.reason == pb.FINISH_REASON_STOP


async def test_an_answer_has_the_least_tokens_that_were_asked_for_as_at_the_endpoint(side: Side) -> None:
    messages = [("user", "Say ok.")]
    short = await side.endpoint.complete(messages, max_tokens=40)
    least = short["usage"]["completion_tokens"] + 3
    assert least < 40
    completion = await side.endpoint.complete(messages, max_tokens=least, min_tokens=least)
    async with typing_at(
        side.address, sampling=pb.Sampling(temperature=0, max_tokens=least, min_tokens=least)
    ) as typist:
        answer = await typist.submit(messages[0][1])
    assert answer.text == completion["choices"][0]["message"]["content"]
    assert answer.finished.usage.completion_tokens == least


@pytest.mark.parametrize(
    "fields",
    [
        {"ignore_eos": True},
        {"ignore_eos": True, "skip_special_tokens": False},
        {"stop_token_ids": list(range(200, 1200))},
        {"stop": [" a"], "include_stop_str_in_output": True},
        {"logit_bias": dict.fromkeys(range(200, 1200), -100.0)},
        {"allowed_token_ids": list(range(200, 1200))},
        {"bad_words": ["the", "and"]},
    ],
    ids=lambda fields: " ".join(fields),
)
async def test_what_is_said_of_the_tokens_answers_as_the_endpoint_does(side: Side, fields: dict[str, Any]) -> None:
    text = "Say ok." if "ignore_eos" in fields else "Tell me a story about a lighthouse."
    plain = await side.endpoint.complete([("user", text)], max_tokens=40)
    completion = await side.endpoint.complete([("user", text)], max_tokens=40, **_as_json(fields))
    expected = completion["choices"][0]["message"]["content"]
    assert expected != plain["choices"][0]["message"]["content"]
    async with typing_at(side.address, sampling=pb.Sampling(temperature=0, max_tokens=40, **fields)) as typist:
        answer = await typist.submit(text)
    assert answer.text == expected
    assert answer.finished.usage.completion_tokens == completion["usage"]["completion_tokens"]


def _as_json(fields: dict[str, Any]) -> dict[str, Any]:
    """A JSON object has texts for keys."""
    return {
        name: {str(key): bias for key, bias in value.items()} if isinstance(value, dict) else value
        for name, value in fields.items()
    }


async def test_seeded_sampling_answers_as_the_endpoint_does(side: Side) -> None:
    messages = [("user", "Tell me a story about a lighthouse.")]
    fields: dict[str, Any] = {
        "temperature": 0.9,
        "top_p": 0.8,
        "top_k": 40,
        "seed": 7,
        "max_tokens": 16,
        "repetition_penalty": 1.1,
    }
    completion = await side.endpoint.complete(messages, **fields)
    async with typing_at(side.address, sampling=pb.Sampling(**fields)) as typist:
        answer = await typist.submit(messages[0][1])
    assert answer.text == completion["choices"][0]["message"]["content"]


async def test_tokenize_knows_the_same_ids(side: Side) -> None:
    """The endpoint that operators compare with."""
    expected = await side.endpoint.tokenized([("system", SYSTEM), ("user", "How many? ")])
    assert await side.submitted_ids([("system", SYSTEM)], "How many? ") == expected


async def test_all_these_turns_went_by_the_fast_path(side: Side) -> None:
    async with typing_at(side.address, [("system", SYSTEM)]) as typist:
        await typist.type("How many? ")
        await typist.flush()  # its answer waits for the comparison
        await typist.submit()
    turns = {
        verdict: side.metrics.registry.get_sample_value("forefill_turns_total", {"rendering": verdict})
        for verdict in ("agrees", "differs", "unknown")
    }
    assert turns["agrees"]
    assert (turns["differs"], turns["unknown"]) == (0, 0)
