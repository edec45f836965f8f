"""What a client that asks for it is told of the answers that are begun for it."""

from dataclasses import replace

from forefill_service.serving.guess_news import MOST_UNSENT
from forefill_service.session.events import CharAdd
from forefill_service.session.ledger import PregenerationOutcome
from forefill_service.session.responses import GenerationStarted, PregenerationUpdate, Response

from tests.support.pausing import TEXT, begins, pausing
from tests.support.stage import OPENING, settle

ASKING = replace(OPENING, report_pregenerations=True)


async def test_it_is_told_that_an_answer_is_begun_and_nothing_of_it() -> None:
    async with pausing(ASKING) as stage:
        await begins(stage, tokens=3)
        assert stage.all(PregenerationUpdate) == [PregenerationUpdate()]
        assert not stage.all(GenerationStarted)


async def test_it_is_told_that_an_edit_ended_it_and_what_it_took() -> None:
    async with pausing(ASKING) as stage:
        await begins(stage, tokens=3)
        await stage.does(CharAdd("!"))
        begun, over = stage.all(PregenerationUpdate)
        assert (begun.outcome, over.outcome) == (None, PregenerationOutcome.EDITED)
        assert over.tokens >= 3
        assert over.engine_seconds > 0


async def test_an_adoption_is_told_after_the_answer_with_the_figures_of_the_ledger() -> None:
    async with pausing(ASKING) as stage:
        await begins(stage, tokens=3)
        seq = await stage.submits()
        stage.engine_gate.open()
        await settle()
        [row] = stage.finished(seq).ledger.outcomes
        assert stage.all(PregenerationUpdate)[1:] == [
            PregenerationUpdate(PregenerationOutcome.ADOPTED, row.tokens, row.engine_seconds)
        ]


async def test_one_that_goes_on_after_a_second_pause_is_begun_once() -> None:
    async with pausing(ASKING) as stage:
        await stage.types(TEXT)
        for _ in range(4):
            await stage.pauses()
        assert stage.all(PregenerationUpdate).count(PregenerationUpdate()) == 1


async def test_who_does_not_ask_is_told_nothing() -> None:
    async with pausing() as stage:
        await begins(stage, tokens=3)
        await stage.does(CharAdd("!"))
        assert not stage.all(PregenerationUpdate)


async def test_of_a_client_that_does_not_read_the_oldest_updates_are_left_out() -> None:
    async with pausing(ASKING) as stage:
        await settle()
        stage.client_gate.held = True
        news = stage.runner._guess_news
        for tokens in range(MOST_UNSENT + 10):
            news.add(PregenerationUpdate(PregenerationOutcome.EDITED, tokens))
        stage.client_gate.open()
        await settle()
        told: list[Response] = stage.said[-MOST_UNSENT:]
        expected = range(10, MOST_UNSENT + 10)
        assert told == [PregenerationUpdate(PregenerationOutcome.EDITED, tokens) for tokens in expected]
