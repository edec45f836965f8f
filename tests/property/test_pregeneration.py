"""Whatever is typed, however long the pauses: with pre-generation the answers are those without, and nothing leaks."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from forefill_service.chat.generation import Sampling
from forefill_service.engine import EngineLoad, FakeEngine, Output, Priority, Request
from forefill_service.session.events import CharAdd, CharDelete, Hint, Open, Replace
from forefill_service.session.pregeneration import UNSEEN_TOKENS
from forefill_service.session.responses import GenerationDelta, GenerationFinished, GenerationStarted, Source
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.support.stage import BLOCK, SYSTEM, RisingTypist, Stage, on_stage, settle, user

ANSWER_TOKENS = 7
WORDS = st.sampled_from(["Show ", "me ", "all", " cars", "!", "了"])
SAMPLINGS = st.builds(
    Sampling,
    max_tokens=st.none() | st.integers(1, 9),
    seed=st.none() | st.just(1),
    temperature=st.none() | st.just(0.0),
    presence_penalty=st.none() | st.just(0.5),
)


class Stutters(FakeEngine):
    """Holds back the text of every third word until the next one, as a detokenizer does within a character."""

    async def generate(self, request: Request) -> AsyncGenerator[Output, None]:
        held = ""
        async with aclosing(super().generate(request)) as outputs:
            async for output in outputs:
                text = held + output.text
                held = "" if output.token_ids[0] % 3 or output.finish_reason else text
                yield Output("" if held else text, output.token_ids, output.cached_tokens, output.finish_reason)


@dataclass(frozen=True)
class Pause:
    """Nothing is typed, and the engine makes so many steps."""

    steps: int


@dataclass(frozen=True)
class Submitted:
    """Enter; the engine makes so many steps before it is let go."""

    steps: int


@dataclass(frozen=True)
class Trouble:
    """What befalls pre-generations and nobody else."""

    kind: str


EDITS = st.one_of(
    st.builds(CharAdd, WORDS),
    st.builds(CharDelete, st.integers(1, 3)),
    st.builds(Replace, st.just(0), st.just(0), WORDS),
)
STEPS = st.one_of(
    EDITS,
    st.builds(Hint, st.booleans()),
    st.builds(Pause, st.integers(0, 10)),
    st.builds(Submitted, st.integers(0, 5)),
    st.builds(Trouble, st.sampled_from(["refused", "evicted", "time is up", "load", "calm", "slow rendering"])),
)


async def carry_out(stage: Stage, script: list[Any]) -> None:
    stage.engine_gate.held = True
    for step in script:
        match step:
            case CharAdd() | CharDelete() | Replace() | Hint():
                await stage.does(step)
            case Pause(steps):
                await stage.pauses()
                await let_go_on(stage, steps)
            case Submitted(steps) if stage.draft:
                before = len(stage.all(GenerationFinished))
                assert len(stage.all(GenerationStarted)) == before, "nothing is told before SUBMIT"
                await stage.submits()
                stage.render_gate.open()
                await let_go_on(stage, steps)
                stage.engine_gate.open()
                await settle()
                assert len(stage.all(GenerationFinished)) == before + 1
                stage.engine_gate.held = True
            case Trouble(kind):
                await befall(stage, kind)
    deltas = {delta.seq for delta in stage.all(GenerationDelta)}
    assert deltas == {finished.seq for finished in stage.all(GenerationFinished)}


async def let_go_on(stage: Stage, steps: int) -> None:
    for _ in range(steps):
        stage.engine_gate.step()
        await settle()


async def befall(stage: Stage, kind: str) -> None:
    match kind:
        case "refused":
            stage.engine.faults.refuse = {Priority.PREGENERATION: 1}
        case "evicted":
            stage.engine.evict()
        case "time is up":
            stage.time_gate.step()
        case "slow rendering":
            stage.render_gate.held = True
        case "load" | "calm":
            stage.engine.load = EngineLoad(waiting=1000 if kind == "load" else 0)
            stage.replica.admission.dispatch()
    await settle()


def answers(stage: Stage) -> list[tuple[str, int, str]]:
    """Return the text, the tokens and the end of every answer."""
    return [
        (
            "".join(delta.text for delta in stage.all(GenerationDelta) if delta.seq == finished.seq),
            finished.completion_tokens,
            finished.reason,
        )
        for finished in stage.all(GenerationFinished)
    ]


async def played(script: list[Any], sampling: Sampling, cap: int, piece: int, *, pregeneration: bool) -> Stage:
    engine = Stutters(block_size=BLOCK, answer_tokens=ANSWER_TOKENS)
    opening = Open((SYSTEM,), sampling=sampling)
    caps = {"pregeneration": pregeneration, "pregeneration_tokens": cap}
    async with on_stage(opening, engine=engine, piece_tokens=piece, typist=RisingTypist(), **caps) as stage:
        await carry_out(stage, script)
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left running"
    return stage


def check_books(stage: Stage) -> None:
    """Every token that was generated ahead is either in an answer or thrown away; every prompt token stands once."""
    for finished in stage.all(GenerationFinished):
        books = finished.ledger
        assert min(books.used, books.edited_away, books.evicted, books.abandoned, books.adopted, books.discarded) >= 0
        assert books.used <= finished.prompt_tokens
        assert books.adopted <= finished.completion_tokens
        outcomes = books.outcomes
        assert sum(row.count for row in outcomes) == books.pregenerations
        assert sum(row.tokens for row in outcomes) == books.pregenerated
        assert min((row.engine_seconds for row in outcomes), default=0) >= 0
        assert books.answer_engine_seconds > 0
    samples = stage.samples()
    end = stage.prompt_ids(user(""))[-1:]
    begun = [request for request in stage.pregenerations if request.prompt_ids[-1:] == end]  # the others went on
    assert samples.get("forefill_pregenerations_total", 0) == len(begun)
    adopted = sum(finished.ledger.adopted for finished in stage.all(GenerationFinished))
    assert samples.get("forefill_pregenerated_tokens_total adopted", 0) == adopted
    discarded = samples.get("forefill_pregenerated_tokens_total discarded", 0)
    assert discarded <= len(stage.pregenerations) * (ANSWER_TOKENS + UNSEEN_TOKENS)
    sources = [started.source for started in stage.all(GenerationStarted)]
    assert adopted == 0 or Source.PREGENERATED in sources


@settings(max_examples=150, deadline=None)
@given(
    script=st.lists(STEPS, max_size=14),
    sampling=SAMPLINGS,
    cap=st.integers(1, 9),
    piece=st.sampled_from([BLOCK, 1000]),
    abandoned=st.lists(STEPS, max_size=3),
)
def test_answers_with_pregeneration_are_those_without(
    script: list[Any], sampling: Sampling, cap: int, piece: int, abandoned: list[Any]
) -> None:
    script = [CharAdd("Is it "), *script, CharAdd("so?"), Pause(3), Submitted(1), *abandoned]
    plain = asyncio.run(played(script, sampling, cap, piece, pregeneration=False))
    ahead = asyncio.run(played(script, sampling, cap, piece, pregeneration=True))
    assert plain.pregenerations == []
    assert answers(ahead) == answers(plain)
    check_books(ahead)
    for started in ahead.all(GenerationStarted):
        event(started.source.name)
