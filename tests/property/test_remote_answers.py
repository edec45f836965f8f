"""Whatever a vLLM server answers, field by field: what a session over the wire is told of it, and what it is not told.

A real service stands in front of a fake vLLM server, all on one event loop. One event of an answer has one field of
another type or value, and all texts of the server's have a canary. Each answer ends as the wire documents it, its
session goes on, and the canary is in nothing that a client gets or that is logged. `FOREFILL_REMOTE_EXAMPLES` sets how
many answers are tried.
"""

import asyncio
import copy
import itertools
import json
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine.http import RemoteEngine
from forefill_service.errors import EngineError, Refusal
from forefill_service.server import RunningServer, running_server
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.fake_vllm import FakeVllm, fake_vllm
from tests.support.fake_vllm_knobs import Twist
from tests.support.remote_engine import remote_engine, remote_settings
from tests.support.wire import Typist, typing_at

T = TypeVar("T")
EXAMPLES = int(os.environ.get("FOREFILL_REMOTE_EXAMPLES", "250"))
TRIED = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
FEWER = settings(TRIED, max_examples=EXAMPLES // 3)
CANARY = "zyzzyva"
SYSTEM = ("system", " ".join(f"word-{number}" for number in range(40)))
QUESTION = "Which of all these horses is the fastest one"
ANSWER_TOKENS = 4
SECONDS_TO_GIVE_UP = 20


# --- what vLLM 0.32 sends: `vllm.entrypoints.openai.completion.protocol`, `chat_completion.protocol`

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**32, 2**64, -(2**63), 10**400, 0.5, 1e308, float("nan"), float("inf"), -0.0]),
    st.sampled_from(
        ["", CANARY, f"{CANARY}\n\x00", "\ud83d", "stop", "length", "abort", "content_filter", "token_id:1"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([CANARY, "index", "text", "content", "code", "message"]), inner, max_size=3)
    ),
    max_leaves=5,
)
ODD_LINES = {
    "a page": b"data: <html>" + CANARY.encode() + b"</html>\n\n",
    "no UTF-8": b'data: {"choices": [{"text": "\xff"}]}\n\n',
    "no end of brackets": b"data: " + b"[" * 50_000 + b"\n\n",
    "half a brace": b"data: {\n\n",
    "an early end": b"data: [DONE]\n\n",
    "a line too long": b"data: " + CANARY.encode() * 200_000 + b"\n\n",
}
Path = tuple[str | int, ...]
Verdict = Callable[[object], bool]
"""Whether a value is one that vLLM never sends there, however it is taken."""


def no_text(value: object) -> bool:
    return value is not None and not (isinstance(value, str) and "\ud83d" not in value)


def no_ids(value: object) -> bool:
    if value is None:
        return False
    return not isinstance(value, list) or any(type(one) is not int or not 0 <= one < 2**31 for one in value)


def no_object(value: object) -> bool:
    return value is not None and not isinstance(value, dict)


def no_objects(value: object) -> bool:
    return value is not None and not (isinstance(value, list) and all(isinstance(one, dict) for one in value))


def not_one_choice(value: object) -> bool:
    return no_objects(value) or (isinstance(value, list) and len(value) > 1)


def no_finish_reason(value: object) -> bool:
    return value not in (None, "", "stop", "length", "tool_calls", "repetition")


def not_zero(value: object) -> bool:
    return value is not None and (type(value) is not int or value != 0)


def anything_goes(_: object) -> bool:
    return False


OF_EVERY_EVENT: dict[Path, Verdict] = {
    (): lambda value: not isinstance(value, dict),
    **{(name,): anything_goes for name in ("id", "object", "created", "model", "system_fingerprint", CANARY)},
    ("choices",): not_one_choice,
    ("choices", 0): lambda value: not isinstance(value, dict),
    ("choices", 0, "index"): not_zero,
    ("choices", 0, "finish_reason"): no_finish_reason,
    ("choices", 0, "stop_reason"): anything_goes,
    ("choices", 0, "token_ids"): no_ids,
    ("choices", 0, "logprobs"): no_object,
    ("error",): lambda value: value is not None,
}
OF_COMPLETIONS: dict[Path, Verdict] = {
    **OF_EVERY_EVENT,
    ("choices", 0, "text"): no_text,
    ("choices", 0, "prompt_token_ids"): anything_goes,
    ("choices", 0, "logprobs", "tokens"): lambda value: not isinstance(value, list),
    ("choices", 0, "logprobs", "tokens", 0): lambda value: not isinstance(value, str) or value == CANARY,
    ("choices", 0, "logprobs", "token_logprobs", 0): lambda value: isinstance(value, str | bool | list | dict),
    ("choices", 0, "logprobs", "top_logprobs", 0): no_object,
    ("choices", 0, "logprobs", "text_offset"): anything_goes,
}
OF_CHATS: dict[Path, Verdict] = {
    **OF_EVERY_EVENT,
    ("choices", 0, "delta"): no_object,
    ("choices", 0, "delta", "role"): anything_goes,
    ("choices", 0, "delta", "content"): no_text,
    ("choices", 0, "delta", "reasoning"): no_text,
    ("choices", 0, "delta", "tool_calls"): no_objects,
    ("prompt_token_ids",): anything_goes,  # it counts only if the first event has it
    ("choices", 0, "logprobs", "content", 0): anything_goes,
    ("choices", 0, "logprobs", "content", 0, "token"): lambda value: not isinstance(value, str) or value == CANARY,
    ("choices", 0, "logprobs", "content", 0, "top_logprobs"): anything_goes,
}
OF_USAGE: tuple[Path, ...] = (
    ("usage",),
    ("usage", "prompt_tokens"),
    ("usage", "completion_tokens"),
    ("usage", "total_tokens"),
    ("usage", "prompt_tokens_details"),
    ("usage", "prompt_tokens_details", "cached_tokens"),
)


@dataclass(frozen=True)
class Oddity:
    """One field of the event of a number has another value; without a path, all of the event."""

    event: int
    path: Path
    value: object

    def __call__(self, event: dict[str, Any]) -> dict[str, Any] | bytes:
        if not self.path:
            return f"data: {json.dumps(self.value)}\n\n".encode()
        event = copy.deepcopy(event)
        place: Any = event
        for step, following in itertools.pairwise(self.path):
            if isinstance(place, list) and not place:
                place.append({})
            elif isinstance(place, dict) and place.get(step) is None:
                place[step] = [] if isinstance(following, int) else {}
            place = place[step]
        if isinstance(place, list) and not place:
            place.append(self.value)
        else:
            place[self.path[-1]] = self.value
        return event


def at_event(number: int, change: Twist) -> Twist:
    """Return what changes the event of this number alone."""
    numbers = iter(range(10**6))
    return lambda event: change(event) if next(numbers) == number else event


# --- the service, and one who types at it


@dataclass(repr=False)
class Stand:
    """A service in front of a fake vLLM server, what both logged, and the bodies of the answers last asked for."""

    runner: asyncio.Runner
    vllm: FakeVllm
    engine: RemoteEngine
    server: RunningServer
    logged: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        async def limited() -> T:
            async with asyncio.timeout(SECONDS_TO_GIVE_UP):
                return await work

        del self.logged[:]
        try:
            return self.runner.run(limited())
        finally:
            self.vllm.faults.twist, self.vllm.faults.twists_all, self.vllm.faults.status = None, False, None
            self.vllm.faults.says = {}
            asked = self.vllm.bodies if self.vllm.render_status == 200 else self.vllm.chats
            self.answers = [body for body in asked if body.get("max_tokens") != 1]
            self.vllm.bodies.clear()
            self.vllm.chats.clear()

    def leaked(self, said: str) -> bool:
        """Whether the canary was said, or logged."""
        return CANARY in said or any(CANARY in line for line in self.logged)


class _Kept(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))


@contextmanager
def stand(**knobs: Any) -> Iterator[Stand]:
    root = logging.getLogger()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        made = runner.run(stack.enter_async_context(_stand(runner, knobs)))
        handler, level = _Kept(made.logged), root.level
        root.addHandler(handler)
        root.setLevel("DEBUG")
        try:
            yield made
        finally:
            root.setLevel(level)
            root.removeHandler(handler)
            runner.run(stack.aclose())


async def _forever() -> None:
    """Probe only where a test does: what runs between two examples would meet the faults of both."""
    await asyncio.Event().wait()


@asynccontextmanager
async def _stand(runner: asyncio.Runner, knobs: Mapping[str, Any]) -> AsyncIterator[Stand]:
    flags: dict[str, Any] = {"probe_seconds": 1000, "pregeneration": False, "token_timeout_seconds": 5}
    async with fake_vllm(answer_tokens=ANSWER_TOKENS, adapters={"sql": "/models/sql"}) as vllm:
        for name, value in knobs.items():
            setattr(vllm, name, value)
        vllm.faults.words = f"{CANARY} at http://10.1.2.3:8000"
        async with remote_engine(vllm, **flags) as engine:
            engine.monitor.watch = _forever  # type: ignore[method-assign]
            service = running_server([engine], remote_settings(vllm.url, go_away_seconds=0, **flags))
            async with service as server:
                vllm.bodies.clear()  # those of the self-test
                yield Stand(runner, vllm, engine, server)


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


def oddities(fields: Mapping[Path, Verdict], events: int) -> st.SearchStrategy[Oddity]:
    return st.builds(Oddity, st.integers(0, events - 1), st.sampled_from(sorted(fields, key=str)), VALUES)


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
ODD_BODIES = st.one_of(
    st.binary(max_size=60),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda name, value: json.dumps({name: value}).encode(), st.sampled_from(["data", "token_ids"]), VALUES),
    st.builds(
        lambda name, value: json.dumps({"data": [{"id": "fake", name: value}]}).encode(),
        st.sampled_from(["id", "root", "max_model_len"]),
        VALUES,
    ),
    st.builds(
        lambda name, value: f"vllm:{name} {json.dumps(value)}\n".encode(),
        st.sampled_from(["num_requests_running", "kv_cache_usage_perc", 'cache_config_info{block_size="x"}']),
        VALUES,
    ),
)


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
