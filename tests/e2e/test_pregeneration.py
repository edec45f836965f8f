"""An answer that was begun before SUBMIT is the answer that a plain generation gives, on real vLLM."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.generation import Sampling
from forefill_service.chat.token_ids import TokenIds
from forefill_service.engine import Output, Priority, Request
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.scheduling import guess_price
from forefill_service.server import running_server
from forefill_service.serving import guesser
from forefill_service.session import guesses
from forefill_service.session.continuation import continuable
from forefill_service.session.pregeneration import Pregeneration
from forefill_service.settings import Settings

from tests.support.embedded import started
from tests.support.recording import RecordingEngine
from tests.support.wire import Answer, Typist, typing_at

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

CAP = 12
SETTINGS = Settings(port=0, metrics_port=-1, pregeneration_tokens=CAP, warm_pause_ms=20, idle_gap_ms=2000)
SYSTEM = "You are a helpful guide to the city of Lisbon. " * 4
QUESTIONS = ["Where do I find the best coffee?", "Tell me a story about a sailor 🎉", "用中文说：你好吗？"]
WAIT_SECONDS = 60
GREEDY = Sampling(temperature=0)
ALMOST_FREE = 1e-9
"""A price at which every silence is worth all that may be made."""
ANSWER_TOKENS = 16


class CountingEngine(RecordingEngine):
    """Counts the tokens of pre-generations, and those of them that run."""

    def __init__(self, engine: EmbeddedEngine) -> None:
        super().__init__(engine)
        self.made = 0
        self.running = 0
        self.changed = asyncio.Condition()

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        counts = request.priority is Priority.PREGENERATION
        self.running += counts
        try:
            async with aclosing(super().generate(request)) as outputs:
                async for output in outputs:
                    self.made += counts * len(output.token_ids)
                    await self._tell()
                    yield output
        finally:
            self.running -= counts
            await self._tell()

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


class Side:
    """forefill, and what it has begun."""

    def __init__(self, address: str, engine: CountingEngine) -> None:
        self.address = address
        self.engine = engine

    async def until(self, condition: Callable[[CountingEngine], bool]) -> None:
        """Wait until it is so with the engine."""
        async with asyncio.timeout(WAIT_SECONDS), self.engine.changed:
            await self.engine.changed.wait_for(lambda: condition(self.engine))

    async def type(self, typist: Typist, text: str, tokens: int) -> None:
        """Type, and wait until so many tokens of the answer are made."""
        self.engine.made = 0
        await typist.type(text)
        await self.until(lambda engine: engine.made >= tokens)

    async def pregenerated(
        self,
        text: str,
        sampling: pb.Sampling,
        tokens: int,
        mode: pb.PregenerationMode.ValueType = pb.PREGENERATION_MODE_ON,
    ) -> Answer:
        """Return the answer to a SUBMIT that comes when so many tokens are made."""
        async with typing_at(self.address, [("system", SYSTEM)], sampling=sampling, pregeneration_mode=mode) as typist:
            await self.type(typist, text, tokens)
            return await typist.submit()

    async def plain(self, text: str, sampling: pb.Sampling) -> Answer:
        """Return the answer of a session that begins nothing before SUBMIT."""
        async with typing_at(self.address, [("system", SYSTEM)], sampling=sampling) as typist:
            return await typist.submit(text)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def exact_engine() -> AsyncIterator[EmbeddedEngine]:
    """One of its own, in float32: in bfloat16 near ties fall by how tokens are batched, and that by the processor."""
    async with started(engine_args={"dtype": "float32"}) as engine:
        yield engine


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def side(exact_engine: EmbeddedEngine) -> AsyncIterator[Side]:
    engine = CountingEngine(exact_engine)
    async with running_server([engine], SETTINGS) as server:
        yield Side(server.address, engine)


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("tokens", [1, 5, CAP])
async def test_an_adopted_greedy_answer_is_the_plain_one(side: Side, text: str, tokens: int) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=40)
    plain = await side.plain(text, sampling)
    adopted = await side.pregenerated(text, sampling, tokens)
    assert plain.started.source in (pb.GENERATION_SOURCE_COLD, pb.GENERATION_SOURCE_WARM)
    assert adopted.started.source == pb.GENERATION_SOURCE_PREGENERATED
    assert adopted.text == plain.text
    assert adopted.finished.usage.completion_tokens == plain.finished.usage.completion_tokens
    assert adopted.finished.reason == plain.finished.reason


@pytest.mark.parametrize("max_tokens", [CAP, 3 * CAP])
@pytest.mark.parametrize("text", QUESTIONS[:2])
async def test_a_fixed_seed_gives_the_plain_answer(side: Side, text: str, max_tokens: int) -> None:
    sampling = pb.Sampling(temperature=0.8, seed=7, max_tokens=max_tokens)
    plain = await side.plain(text, sampling)
    adopted = await side.pregenerated(text, sampling, 2)
    assert adopted.started.source == pb.GENERATION_SOURCE_PREGENERATED
    assert adopted.text == plain.text
    given_up = await side.pregenerated(text, sampling, CAP)
    assert given_up.text == plain.text


SCHEMA = """{"type": "object", "properties": {"place": {"enum": ["a café", "a bar"]},
    "stars": {"type": "integer", "minimum": 1, "maximum": 5}}, "required": ["place", "stars"],
    "additionalProperties": false}"""


@pytest.mark.parametrize(
    "structure",
    [
        {"json_schema": SCHEMA},
        {"regex": "(yes|no), [a-z ]{20,30}\\."},
        {"choice": pb.Choice(texts=["in the old town", "by the river, near the bridge"])},
        {"grammar": 'root ::= ("go " | "walk ") ("left" | "right") (" and " root | ".")'},
    ],
    ids=lambda structure: next(iter(structure)),
)
@pytest.mark.parametrize("tokens", [2, CAP])
async def test_an_answer_with_a_structure_is_the_plain_one_whether_adopted_or_given_up_at_the_cap(
    side: Side, structure: dict[str, Any], tokens: int
) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=40, **structure)
    plain = await side.plain(QUESTIONS[0], sampling)
    begun = await side.pregenerated(QUESTIONS[0], sampling, min(tokens, plain.finished.usage.completion_tokens))
    assert plain.text
    assert begun.text == plain.text
    assert begun.finished.reason == plain.finished.reason
    assert begun.finished.usage.completion_tokens == plain.finished.usage.completion_tokens


@pytest.mark.parametrize("text", QUESTIONS)
@pytest.mark.parametrize("tokens", [1, 5, CAP])
async def test_an_adopted_answer_has_the_logprobs_of_the_plain_one(side: Side, text: str, tokens: int) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=30, logprobs=3)
    plain = await side.plain(text, sampling)
    adopted = await side.pregenerated(text, sampling, tokens)
    assert adopted.started.source == pb.GENERATION_SOURCE_PREGENERATED
    assert adopted.text == plain.text
    assert len(plain.logprobs) == plain.finished.usage.completion_tokens
    assert [place.token.id for place in adopted.logprobs] == [place.token.id for place in plain.logprobs]
    for ours, theirs in zip(adopted.logprobs, plain.logprobs, strict=True):
        assert [one.id for one in ours.likeliest] == [one.id for one in theirs.likeliest]
        assert [one.logprob for one in ours.likeliest] == pytest.approx(
            [one.logprob for one in theirs.likeliest], abs=1e-3
        )


@pytest.mark.parametrize("text", QUESTIONS)
async def test_an_answer_that_grew_in_several_requests_is_the_plain_one(
    side: Side, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=40)
    plain = await side.plain(text, sampling)
    monkeypatch.setattr(guess_price, "BASE_PRICE", ALMOST_FREE)
    monkeypatch.setattr(guesser, "tokens_worth", lambda p_end, price, most: 1)  # what is wanted next, and no more
    monkeypatch.setattr(guesses, "GROWTH", 2)
    requests = len(side.engine.requests)
    adopted = await side.pregenerated(text, sampling, CAP, pb.PREGENERATION_MODE_AUTO)
    begun = [one for one in side.engine.requests[requests:] if one.priority is Priority.PREGENERATION]
    assert len(begun) > 2, "it went on more than once"
    assert adopted.started.source == pb.GENERATION_SOURCE_PREGENERATED
    assert adopted.text == plain.text
    assert adopted.finished.ledger.pregenerations == 1


async def test_an_adopted_answer_is_told_at_once(side: Side) -> None:
    adopted = await side.pregenerated(QUESTIONS[0], pb.Sampling(temperature=0, max_tokens=40), CAP)
    usage = adopted.finished.usage
    assert adopted.deltas <= usage.completion_tokens - CAP + 1, "what was there came as one"
    assert adopted.finished.timings.ttft_ms == adopted.started.ttft_ms
    ledger = adopted.finished.ledger
    assert (ledger.pregenerations, ledger.adopted_tokens + ledger.discarded_tokens) == (1, CAP)
    assert ledger.used_tokens == ledger.computed_tokens > 0


async def test_an_edit_aborts_what_runs_within_a_step(side: Side, exact_engine: EmbeddedEngine) -> None:
    states = exact_engine.vllm.output_processor
    async with typing_at(
        side.address,
        [("system", SYSTEM)],
        sampling=pb.Sampling(temperature=0.5, seed=1, max_tokens=2000),
        pregeneration_mode=pb.PREGENERATION_MODE_ON,
    ) as typist:
        await side.type(typist, "Tell me a very long story", 2)
        assert states.get_num_unfinished_requests() == 1
        await typist.type("!")
        await side.until(lambda engine: engine.running == 0)
        made = side.engine.made
        assert made < CAP, "it was stopped, and did not end at its cap"
        assert states.get_num_unfinished_requests() == 0
        request = Request([1, 2, 3], Sampling(max_tokens=3, temperature=0), Priority.GENERATION)
        async for _ in exact_engine.generate(request):
            pass
        assert exact_engine.load.running <= 1, "it runs alone"


@pytest.mark.parametrize("said", ["日本語 " * 10 + "日本", "🎉" * 12, "naïve é ü — " * 6 + "na", "1. 🎉\n2. 🎉\n3."])
async def test_going_on_behind_any_token_gives_the_same_text(exact_engine: EmbeddedEngine, said: str) -> None:
    prompt = TokenIds((), tuple(exact_engine.chat.encode(said)))
    plain = await told(exact_engine, Pregeneration("", prompt, continuable(GREEDY), ANSWER_TOKENS, ANSWER_TOKENS))
    assert len(plain.text.encode()) > len(plain.text), "it says more than ASCII"
    for cap in range(1, len(plain.token_ids)):
        begun = Pregeneration("", prompt, continuable(GREEDY), ANSWER_TOKENS, cap)
        head = await told(exact_engine, begun)
        assert len(head.token_ids) <= cap
        ids = prompt.extended(head.token_ids)
        rest = await told(
            exact_engine, Pregeneration("", ids, continuable(GREEDY), begun.rest_tokens, begun.rest_tokens)
        )
        assert head.token_ids + rest.token_ids == plain.token_ids
        assert head.text + rest.text == plain.text


async def told(engine: EmbeddedEngine, begun: Pregeneration) -> Output:
    """Run it to its end and return all that may be told of it."""
    request = Request(begun.prompt.to_list(), replace(GREEDY, max_tokens=begun.asked_tokens), Priority.PREGENERATION)
    async for output in engine.generate(request):
        begun.take(output)
    return begun.release() or Output("", (), 0)
