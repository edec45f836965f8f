"""Whatever a vLLM server answers, field by field: what a session over the wire is told of it, and what it is not told.

A real service stands in front of a fake vLLM server, all on one event loop. One event of an answer has one field of
another type or value, and all texts of the server's have a canary. Each answer ends as the wire documents it, its
session goes on, and the canary is in nothing that a client gets or that is logged. `FOREFILL_REMOTE_EXAMPLES` sets how
many answers are tried.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.errors import EngineError, Refusal
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.fake_vllm_knobs import Twist
from tests.support.odd_answers import (
    CANARY,
    ODD_BODIES,
    ODD_LINES,
    OF_CHATS,
    OF_COMPLETIONS,
    OF_USAGE,
    VALUES,
    Oddity,
    Path,
    at_event,
    oddities,
)
from tests.support.remote_stand import ANSWER_TOKENS, Stand, stand
from tests.support.wire import Typist, typing_at

EXAMPLES = int(os.environ.get("FOREFILL_REMOTE_EXAMPLES", "250"))
TRIED = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
FEWER = settings(TRIED, max_examples=EXAMPLES // 3)
SYSTEM = ("system", " ".join(f"word-{number}" for number in range(40)))
QUESTION = "Which of all these horses is the fastest one"


@pytest.fixture(scope="module")
def completions() -> Iterator[Stand]:
    """Prompts are made here: answers come of `/v1/completions`."""
    with stand() as made:
        yield made


@pytest.fixture(scope="module")
def chats() -> Iterator[Stand]:
    """The server does not say its ids: answers come of `/v1/chat/completions`."""
    with stand(render_status=404, tokenize_status=404, reasoning_tokens=2) as made:
        yield made


@dataclass
class Told:
    """What a client was told of one SUBMIT; `ending` is the last response, about which the others are."""

    texts: list[str] = field(default_factory=list)
    started: bool = False
    ending: pb.ComposeResponse = field(default_factory=pb.ComposeResponse)
    everything: str = ""

    @property
    def finished(self) -> bool:
        return self.ending.HasField("generation_finished")


async def submitted(typist: Typist) -> Told:
    """Type, and when it is known who makes the prompt, press Enter; return all that comes of it."""
    await typist.replace(0, len(typist.draft), QUESTION)
    await typist.flush()
    await typist.send_submit(QUESTION)
    told = Told()
    while True:
        response = await typist.read()
        told.everything += str(response)
        match response.WhichOneof("response"):
            case "generation_started":
                told.started = True
            case "generation_delta":
                told.texts.append(response.generation_delta.text)
            case "generation_finished" | "session_error":
                told.ending = response
                if not told.finished:
                    typist.gets_back()
                return told


def check_ending(told: Told) -> None:
    """An answer ends in one of three ways, and what was sent decides which."""
    if told.finished:
        usage = told.ending.generation_finished.usage
        assert usage.cached_tokens <= usage.prompt_tokens or not usage.prompt_tokens, "0: only the engine knows"
        return
    error = told.ending.session_error
    expected = pb.ERROR_REASON_GENERATION_INTERRUPTED if told.started else pb.ERROR_REASON_GENERATION_FAILED
    assert error.reason == expected
    assert error.sent_text == "".join(told.texts)


async def answered(made: Stand, twist: Twist, logprobs: int | None) -> tuple[Told, Told]:
    """Return what was told of a twisted answer, and of the next one in the same session, which is straight."""
    sampling = pb.Sampling() if logprobs is None else pb.Sampling(logprobs=logprobs)
    async with typing_at(made.server.address, [SYSTEM], sampling=sampling) as typist:
        made.vllm.faults.twist = twist
        told = await submitted(typist)
        made.vllm.faults.twist = None
        return told, await submitted(typist)


def check(made: Stand, twist: Twist, logprobs: int | None) -> Told:
    told, after = made.run(answered(made, twist, logprobs))
    asked = len(made.answers)
    assert asked == 2, "both were asked where they were to be asked"
    check_ending(told)
    assert after.finished, "the session goes on"
    assert after.texts
    error = told.ending.session_error.message
    assert not made.leaked(error + ("" if told.finished else after.everything))
    return told


@TRIED
@given(odd=oddities(OF_COMPLETIONS, ANSWER_TOKENS), logprobs=st.sampled_from([None, 2]))
def test_a_completion_with_an_odd_field_ends_as_documented(
    completions: Stand, odd: Oddity, logprobs: int | None
) -> None:
    told = check(completions, at_event(odd.event, odd), logprobs)
    if OF_COMPLETIONS[odd.path](odd.value) and (logprobs or "logprobs" not in odd.path):
        assert not told.finished, "what vLLM never says is no answer"


@TRIED
@given(odd=oddities(OF_CHATS, ANSWER_TOKENS + 1), logprobs=st.sampled_from([None, 2]))
@example(odd=Oddity(0, ("prompt_token_ids",), [0]), logprobs=None)
def test_so_does_a_chat_completion(chats: Stand, odd: Oddity, logprobs: int | None) -> None:
    told = check(chats, at_event(odd.event, odd), logprobs)
    if OF_CHATS[odd.path](odd.value) and (logprobs or "logprobs" not in odd.path):
        assert not told.finished, "what vLLM never says is no answer"


@FEWER
@given(path=st.sampled_from(OF_USAGE), value=VALUES)
def test_whatever_the_usage_is_a_whole_text_is_a_whole_answer(completions: Stand, path: Path, value: object) -> None:
    told = check(completions, at_event(ANSWER_TOKENS, Oddity(0, path, value)), None)
    assert told.finished
    assert len(told.texts) == ANSWER_TOKENS


@FEWER
@given(event=st.integers(0, ANSWER_TOKENS), said=st.binary(max_size=40) | st.sampled_from(sorted(ODD_LINES)))
def test_bytes_that_are_no_event_end_an_answer_as_documented(completions: Stand, event: int, said: bytes | str) -> None:
    line = said if isinstance(said, bytes) else ODD_LINES[said]
    told = check(completions, at_event(event, lambda _: line), None)
    assert told.finished or event < ANSWER_TOKENS, "after the whole text nothing takes it back"


@FEWER
@given(
    status=st.sampled_from([204, 301, 400, 401, 403, 404, 413, 418, 422, 429, 500, 501, 502, 503, 599]), words=VALUES
)
def test_no_words_of_a_refusal_are_passed_on(chats: Stand, completions: Stand, status: int, words: object) -> None:
    async def refused(made: Stand) -> Told:
        async with typing_at(made.server.address, [SYSTEM], sampling=pb.Sampling()) as typist:
            made.vllm.faults.status = status
            told = await submitted(typist)
            made.vllm.faults.status = None
            await made.engine.monitor.probe()  # a server that refuses our requests is down for a moment
            assert (await submitted(typist)).finished
            return told

    for made in (completions, chats):
        made.vllm.faults.words = CANARY if not isinstance(words, str) else f"{CANARY} {words}"
        told = made.run(refused(made))
        assert told.ending.session_error.reason == pb.ERROR_REASON_GENERATION_FAILED
        assert not made.leaked(told.everything)


@FEWER
@given(odd=oddities(OF_COMPLETIONS, 2))
def test_odd_answers_to_warms_and_probes_cost_speed_alone(completions: Stand, odd: Oddity) -> None:
    async def typed() -> tuple[pb.FlushResult, Told]:
        async with typing_at(completions.server.address, [SYSTEM], sampling=pb.Sampling()) as typist:
            faults = completions.vllm.faults
            faults.twist, faults.twists_all = (lambda event: odd(event) if event["choices"] else event), True
            await typist.type(f"{QUESTION} {odd.event} of {len(str(odd.value))} of {' '.join(map(str, odd.path))} ? ")
            result = await typist.flush()
            await completions.engine.monitor.probe()
            faults.twist, faults.twists_all = None, False
            await completions.engine.monitor.probe()
            return result, await submitted(typist)

    result, told = completions.run(typed())
    assert told.finished
    assert result.cached_tokens <= result.stable_tokens
    assert not completions.leaked(str(result))


ASKED = Conversation((ChatMessage("user", "How many?"),))


@TRIED
@given(said=ODD_BODIES, path=st.sampled_from(["/v1/models", "/metrics", "/v1/chat/completions/render", "/tokenize"]))
def test_whatever_else_is_asked_of_a_server_fails_as_an_engine_does(completions: Stand, said: bytes, path: str) -> None:
    async def asked() -> str:
        words, engine = "", completions.engine
        completions.vllm.faults.says = {path: said}
        for ask in (
            lambda: engine.check(Sampling(logprobs=1), "sql"),
            lambda: engine.chat_endpoint.ids(ASKED),
            engine.monitor.read_metrics,
            engine.client.mismatch,
        ):
            try:
                await ask()
            except (EngineError, Refusal) as error:
                words += str(error)
        completions.vllm.faults.says = {}
        await engine.monitor.read_metrics()
        assert not await engine.client.mismatch(), "it is what it was"
        return words

    words = completions.run(asked())
    assert not completions.leaked(words)
