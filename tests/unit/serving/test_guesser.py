"""When a guess is worth its price: how it begins, grows, and what hints, answers that run and past waste change."""

import asyncio
from typing import Any

import pytest
from forefill_service.engine import EngineLoad
from forefill_service.session.events import CharDelete, Hint, Open, PregenerationMode
from forefill_service.session.guesses import GROWTH
from forefill_service.session.ledger import PregenerationOutcome
from forefill_service.session.likelihood import Typist
from forefill_service.session.responses import GenerationStarted, Source

from tests.support.pausing import SEEDED, TEXT, pausing, plain_answer
from tests.support.stage import LOWEST_PRICE, PAUSE_SECONDS, SYSTEM, DecidedTypist, RisingTypist, Stage, settle


def worth(tokens: float) -> DecidedTypist:
    """Return a user for whom so many tokens are worth the lowest price, after the pause."""
    odds = tokens * LOWEST_PRICE
    return DecidedTypist(p=odds / (1 + odds))


class Hinted(DecidedTypist):
    """A user who is never done, but for what a hint says."""

    def __init__(self) -> None:
        super().__init__(p=0.0)

    def hinted(self, likely: bool) -> None:
        self.p, self.pauses = float(likely) - 1e-9, 0.0


def asked(stage: Stage) -> list[int | None]:
    return [request.sampling.max_tokens for request in stage.pregenerations]


@pytest.mark.parametrize("tokens", [1, 3, 9])
async def test_as_many_tokens_are_asked_for_as_they_are_worth(tokens: int) -> None:
    async with pausing(typist=worth(tokens)) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        assert asked(stage) == [tokens]


async def test_what_is_worth_less_than_a_token_is_not_begun() -> None:
    async with pausing(typist=worth(0.9)) as stage:
        await stage.types(TEXT)
        for _ in range(5):
            await stage.pauses()
        assert stage.pregenerations == []


async def test_a_guess_grows_with_the_silence_and_goes_on_where_it_was() -> None:
    async with pausing(typist=RisingTypist()) as stage:
        await stage.types(TEXT)
        for _ in range(3):
            await stage.pauses()
        first, second, *_ = stage.pregenerations
        assert asked(stage)[:2] == [1, GROWTH - 1]
        assert second.prompt_ids[:-1] == first.prompt_ids, "after the token that it has"
        seq = await stage.submits()
        assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED
        assert stage.answer_text(seq) == await plain_answer()
        ledger = stage.finished(seq).ledger
        assert (ledger.pregenerations, ledger.outcomes[0].outcome) == (1, PregenerationOutcome.ADOPTED)


@pytest.mark.parametrize("ends", ["types", "submits"])
async def test_what_waits_to_go_on_is_let_go_by_an_edit_and_by_submit(ends: str) -> None:
    async with pausing(typist=RisingTypist()) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        assert asked(stage) == [1]
        with stage.replica.admission.generation():  # which waits for its first token: nothing else may start
            await stage.pauses(2)
            assert stage.replica.admission.waiting == 1
            await getattr(stage, ends)("!" if ends == "types" else TEXT)
            if ends == "types":
                assert stage.replica.admission.waiting == 0
        await settle()
        assert asked(stage) == [1]
        if ends == "submits":
            assert stage.all(GenerationStarted)[0].source is Source.PREGENERATED


async def test_the_next_request_of_an_adopted_answer_is_sent_before_what_is_there_is_told() -> None:
    async with pausing(typist=worth(1)) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        assert asked(stage) == [1]
        stage.client_gate.held = True
        await stage.submits()
        assert stage.all(GenerationStarted), "it is being written"
        assert len(stage.generations) == 1, "and the rest is asked for already"
        stage.client_gate.open()
        await settle()


async def test_what_no_second_request_can_go_on_with_is_begun_only_if_much_of_it_is_worth_it() -> None:
    for tokens, begins in ((7, False), (9, True)):
        async with pausing(SEEDED, typist=worth(tokens)) as stage:
            await stage.types(TEXT)
            await stage.pauses()
            assert bool(stage.pregenerations) is begins


@pytest.mark.parametrize(("mode", "begun"), [(PregenerationMode.AUTO, 0), (PregenerationMode.ON, 1)])
async def test_an_answer_that_runs_makes_guesses_dearer(mode: PregenerationMode, begun: int) -> None:
    async with pausing(Open((SYSTEM,), pregeneration_mode=mode), typist=worth(2.5)) as stage:
        stage.engine.load = EngineLoad(running=2, others=2)
        await stage.types(TEXT)
        await stage.pauses()
        assert len(stage.pregenerations) == begun


@pytest.mark.parametrize(("mode", "begun"), [(PregenerationMode.AUTO, 1), (PregenerationMode.ON, 4)])
async def test_what_was_wasted_makes_guesses_dearer(mode: PregenerationMode, begun: int) -> None:
    async with pausing(Open((SYSTEM,), pregeneration_mode=mode), typist=worth(3), pregeneration_waste=0.25) as stage:
        stage.replica.admission.times.observe_steps(100.0, 1)  # far more than the budget
        for word in ("Show ", "me ", "all ", "cars"):
            await stage.types(word)
            await stage.pauses()
        assert len(stage.pregenerations) == begun


@pytest.mark.parametrize("p", [0.0, 0.5])
async def test_a_session_that_asks_for_it_begins_all_of_an_answer_in_every_pause(p: float) -> None:
    opening = Open((SYSTEM,), pregeneration_mode=PregenerationMode.ON)
    async with pausing(opening, typist=DecidedTypist(p=p), pregeneration_tokens=5) as stage:
        for word in ("Show ", "me ", "all"):
            await stage.types(word)
            await stage.pauses()
        assert asked(stage) == [5, 5, 5]


async def test_a_hint_begins_the_answer_at_once() -> None:
    async with pausing(typist=Hinted()) as stage:
        await stage.types(TEXT)
        assert stage.pregenerations == []
        await stage.does(Hint(likely=True))
        await settle()
        assert len(stage.pregenerations) == 1


async def test_a_due_that_comes_before_the_sleeps_end_is_not_slept_through() -> None:
    typist = DecidedTypist(pauses=10)
    async with pausing(typist=typist, warm_pause_ms=20 * PAUSE_SECONDS * 1000) as stage:
        await stage.types("Show me")
        [(before,)] = stage.time_gate.asked[-1:]
        typist.pauses = 1
        await stage.types("!")
        [(after,)] = stage.time_gate.asked[-1:]
        assert before > 9 * PAUSE_SECONDS > PAUSE_SECONDS >= after
        assert len(stage.time_gate.waiting) == 1
        await stage.pauses()
        assert len(stage.pregenerations) == 1


async def test_a_session_learns_from_what_its_user_does() -> None:
    told: list[Any] = []

    class Told(Typist):
        def changed(self, text: str, *, removed: bool, now: float) -> None:
            told.append((text, removed))

        def submitted(self, text: str, now: float) -> None:
            told.append(text)

    async with pausing(typist=Told()) as stage:
        await stage.types("so")
        await stage.types(" it")
        await stage.does(CharDelete())
        await stage.submits()
        assert told == [("so", False), ("so it", False), ("so i", True), "so i"]


async def test_no_task_is_left_of_a_rest_that_nobody_asked_for() -> None:
    async with pausing(typist=worth(1)) as stage:
        await stage.types(TEXT)
        await stage.pauses()
        stage.engine_gate.held = True
        await stage.submits()
        await stage.hangs_up()
        stage.task.cancel()
        await asyncio.gather(stage.task, return_exceptions=True)
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
