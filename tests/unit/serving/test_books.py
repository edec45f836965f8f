"""The books of one turn against the engine's own counts, scene by scene; `tests/property` has them over all scenes."""

from itertools import pairwise

from forefill_service.chat.messages import ChatMessage
from forefill_service.session.events import End, HandOff, HandOffFinished, Open, Submit
from forefill_service.session.ledger import Balance
from forefill_service.session.responses import FlushResult, GenerationFinished, GenerationStarted, Source

from tests.support.counted_world import World, world
from tests.support.metered_engine import Count
from tests.support.stage import Stage, assistant, settle, user

TEXT = "Show me all the patients that were seen in May "
OTHER_TEXT = "Where do I find the keys of the cellar this time "
MORE = "and say by whom they were seen and what was found then "


def warms(made: World, stage: Stage) -> list[Count]:
    """Return what the engine counted of a session's warms."""
    route = f"/{stage.opening.session_key}"
    return [count for count in made.engine.counts if count.is_warm and count.request.route == route]


async def books(made: World, stage: Stage) -> Balance:
    """End a session and return its last books."""
    await made.comes_to_rest()
    await stage.does(End())
    await made.comes_to_rest()
    return next(c.balance for c in reversed(made.closings) if c.session == stage.opening.session_key)


async def test_flush_results_add_up_to_what_the_engine_computed_after_the_base_prompt() -> None:
    async with world() as made:
        stage = await made.opens()
        for text in (TEXT, MORE, MORE):
            await stage.types(text)
            await made.flushes(stage)
        told = [result.computed_tokens for result in stage.all(FlushResult)]
        assert told == [count.computed for count in warms(made, stage)[1:]]
        assert sum(told) > 0


async def test_a_dropped_warm_counts_as_all_that_it_was_expected_to_compute() -> None:
    async with world() as made:
        stage = await made.opens()
        [base] = warms(made, stage)
        made.engine_gate.held = True
        await stage.types(TEXT)
        await made.flushes(stage)
        await stage.does(Submit(OTHER_TEXT))
        dropped = warms(made, stage)[1]
        assert (dropped.found, dropped.computed) == (len(base.prompt), 0), "it was dropped in the middle"
        made.engine_gate.open()
        await settle()
        ledger = made.closings[0].balance
        assert ledger.warms == 2
        assert ledger.computed == base.computed + len(dropped.prompt) - dropped.found


async def test_a_warm_that_is_revoked_in_the_engines_queue_is_a_warm_that_computed_nothing() -> None:
    async with world(tick=1e-6) as made:
        first, second = await made.opens(), await made.opens()
        made.engine_gate.held = True
        for stage, text in ((first, TEXT), (second, OTHER_TEXT)):
            await stage.types(text)
            await made.flushes(stage)
        assert len(made.engine_gate.waiting) == 1, "the second waits in the engine until the first is computed"
        await first.does(Submit(TEXT))
        [revoked] = warms(made, second)
        balance = await books(made, second)
        later = warms(made, second)[1:]
        assert not revoked.read
        assert later[-1].prompt == revoked.prompt
        assert balance.warms == 1 + len(later)
        assert balance.computed == sum(count.computed for count in later)


async def test_what_is_used_once_more_in_a_silence_is_kept() -> None:
    async with world() as made:
        stage = await made.opens()
        [base] = warms(made, stage)
        await made.touches()
        touch = warms(made, stage)[1]
        assert touch.prompt == base.prompt
        balance = await books(made, stage)
        assert balance == Balance(warms=2, abandoned=base.computed, kept=touch.computed)


async def test_what_waits_for_its_permit_over_the_end_of_its_turn_is_not_sent() -> None:
    async with world() as made:
        stage = await made.opens()
        await stage.does(HandOff(TEXT))  # until its request is expected to have a token, nothing else may start
        await made.touches()
        await stage.does(HandOffFinished((user(TEXT), assistant("so"))))
        await books(made, stage)
        assert [closing.balance.kept for closing in made.closings] == [0, 0]
        assert sum(closing.balance.warms for closing in made.closings) == len(warms(made, stage))


async def test_what_would_follow_on_a_dropped_warm_at_the_end_of_its_turn_is_not_sent() -> None:
    async with world() as made:
        stage = await made.opens()
        made.engine_gate.held = True
        await stage.does(Submit(TEXT))
        await made.steps(0, 2)  # the prompt, and a token
        await made.touches()
        await made.touches()  # while the first is in the engine
        [_, touch] = warms(made, stage)
        await made.steps(0)
        while not stage.all(GenerationFinished):
            await made.steps(-1)  # the answer's next one, which is the last to wait
        assert not touch.read
        await books(made, stage)
        assert sum(closing.balance.warms for closing in made.closings) == len(warms(made, stage))


async def test_an_answer_that_goes_on_has_its_prompt_in_the_books_once() -> None:
    async with world() as made:
        stage = await made.opens()
        await stage.types(TEXT)
        for _ in range(4):
            await made.pauses(0)
        await stage.does(Submit(TEXT))
        ahead = [count for count in made.engine.counts if count.is_ahead]
        assert len(ahead) > 1, "it goes on in a later pause"
        assert all(before.continued_by(after) for before, after in pairwise(ahead))
        assert [started.source for started in stage.all(GenerationStarted)] == [Source.PREGENERATED]
        balance = made.closings[0].balance
        of_prompt = [max(0, len(ahead[0].prompt) - count.found) for count in ahead]
        assert balance.computed == sum(of_prompt) + sum(count.computed for count in warms(made, stage)[:1])
        assert (balance.pregenerations, balance.pregenerated) == (1, sum(len(count.made) for count in ahead))


async def test_sessions_that_share_a_prompt_have_it_in_the_books_of_the_one_that_computed_it() -> None:
    async with world() as made:
        prompt = (
            Open((ChatMessage("system", TEXT * 3),), session_key="one"),
            Open((ChatMessage("system", TEXT * 3),), session_key="two"),
        )
        one, two = [await made.opens(opening) for opening in prompt]
        [computed] = made.engine.counts
        assert (await books(made, one)).computed == computed.computed
        assert (await books(made, two)).computed == 0
