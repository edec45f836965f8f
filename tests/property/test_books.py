"""The books against the engine's own counts, over random sessions that share it.

The ledger's `computed` is by definition the sum of its rows, so that sum shows nothing. Here an engine counts by itself
what it found cached, computed and made of each request (`MeteredEngine`), and this is how the books relate to that:

    the engine's request                           the books of the turn that it was for
    a warm that ended                              one of `warms`; `computed` has exactly what the engine computed
    a warm that was refused, lost or dropped       one of `warms`; `computed` has what it was expected to compute: at
                                                   least nothing, at most its prompt, for nobody knows how far it came
    one revoked while it waited in the engine      one of `warms`; `computed` has nothing of it
    an answer begun ahead, once it has a token     `computed` has exactly what the engine computed of its prompt; what
                                                   it read again of the answer itself, to go on, stands in no row
    the same, ended before it has one              `computed` has an estimate, as for a warm
    all requests of one answer begun ahead         one of `pregenerations`; `pregenerated` has what they made before
                                                   SUBMIT, and for one that was stopped up to `UNSEEN_TOKENS` more
    the answer                                     its prompt is in no row; what it found cached decides the rows: of
                                                   that, `used` is what was computed ahead, each token once

FlushResults hold what warms for a FLUSH computed, so together no more than all warms that ended. Metrics are the sums
of all books. Rows are compared one by one unless one of the requests is an estimate, or the client's word decides them
(a hand-off).
"""

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from forefill_service.engine import FakeChat, Priority
from forefill_service.errors import Refusal
from forefill_service.session.events import (
    CacheScope,
    Cancel,
    CharDelete,
    End,
    HandOff,
    HandOffFinished,
    Hint,
    Open,
    Replace,
    ReportedUsage,
    Respond,
    Rewrite,
    Submit,
)
from forefill_service.session.ledger import Balance, PregenerationOutcome
from forefill_service.session.pregeneration import UNSEEN_TOKENS
from forefill_service.session.responses import (
    CANCELLED,
    HANDED_OFF,
    FlushResult,
    GenerationFinished,
    GenerationStarted,
    HandedOff,
    Source,
)
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.support.counted_world import Closing, World, world
from tests.support.metered_engine import Count
from tests.support.other_chat import OtherChat
from tests.support.stage import SYSTEM, Stage, assistant, settle, user

EXAMPLES = int(os.environ.get("FOREFILL_BOOKS_EXAMPLES", "200"))
ROWS = ("used", "edited_away", "evicted", "abandoned", "kept")
WORDS = st.lists(st.sampled_from(["Show ", "me ", "all ", "cars", ", ", "by", "\n", "了"]), min_size=1, max_size=6).map(
    "".join
)
Step = tuple[str, Any]
ONE_STEP: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("types"), WORDS),
    st.tuples(st.just("deletes"), st.integers(1, 9)),
    st.tuples(st.just("replaces"), st.tuples(st.floats(0, 1), st.floats(0, 1), WORDS)),
    st.tuples(st.just("flushes"), st.none()),
    st.tuples(st.just("hints"), st.booleans()),
    st.tuples(st.just("pauses"), st.integers(0, 5)),
    st.tuples(st.just("submits"), st.none() | WORDS),
    st.tuples(st.just("responds"), st.none()),
    st.tuples(st.just("cancels"), st.booleans()),
    st.tuples(st.just("rewrites"), st.integers(0, 3)),
    st.tuples(st.just("hands off"), st.none() | WORDS),
    st.tuples(st.just("finishes"), st.tuples(st.booleans(), st.none() | st.integers(0, 200))),
    st.tuples(st.just("the engine waits"), st.none()),
    st.tuples(st.just("the engine makes steps"), st.tuples(st.integers(0, 3), st.integers(1, 4))),
    st.tuples(st.just("the engine goes on"), st.none()),
    st.tuples(st.just("the engine refuses"), st.sampled_from(Priority)),
    st.tuples(st.just("the engine breaks"), st.none()),
    st.tuples(st.just("the engine evicts"), st.none()),
    st.tuples(st.just("blocks are touched"), st.none()),
    st.tuples(st.just("the client does not read"), st.none()),
    st.tuples(st.just("the client reads"), st.none()),
    st.sampled_from([("ends", None), ("hangs up", None), ("pauses", 0)]),
)
PHRASES: st.SearchStrategy[list[Step]] = st.one_of(
    ONE_STEP.map(lambda step: [step]),
    ONE_STEP.map(lambda step: [step]),
    st.builds(lambda text: [("types", text), ("flushes", None)], WORDS),
    st.builds(lambda text, index: [("types", text), ("pauses", index), ("pauses", index)], WORDS, st.integers(0, 3)),
    st.builds(
        lambda text, index, pauses: [("types", text), *[("pauses", index)] * pauses, ("submits", None)],
        WORDS,
        st.integers(0, 3),
        st.integers(0, 4),
    ),
    st.builds(
        lambda text, does, steps, then: [
            ("the engine waits", None),
            ("types", text),
            (does, 0),
            ("the engine makes steps", (0, steps)),
            then,
            ("the engine goes on", None),
        ],
        WORDS,
        st.sampled_from(["flushes", "pauses"]),
        st.integers(0, 3),
        ONE_STEP,
    ),
)
"""What people mostly do, so that answers come about, and anything else."""
SCRIPTS = st.lists(st.tuples(st.integers(0, 2), PHRASES), min_size=4, max_size=20)


async def carry_out(made: World, stage: Stage, step: Step) -> None:
    match step:
        case "types", text:
            await stage.types(text)
        case "deletes", count:
            await stage.does(CharDelete(count))
        case "replaces", (a, b, text):
            stage.draft = stage.runner._session.draft  # a SUBMIT that failed has given its text back
            length = len(stage.draft)
            start, end = sorted((int(a * length), int(b * length)))
            await stage.does(Replace(start, end, text))
        case "flushes", _:
            await made.flushes(stage)
        case "hints", likely:
            await stage.does(Hint(likely))
        case "pauses", index:
            await made.pauses(index)
        case "submits", text:
            await stage.does(Submit(text))
        case "responds", _:
            await stage.does(Respond())
        case "cancels", keeps:
            await stage.does(Cancel(keeps))
        case "rewrites", keep:
            await stage.does(Rewrite(min(keep, len(stage.runner._session.messages)), (user("and then"),)))
        case "hands off", text:
            await stage.does(HandOff(text))
        case "finishes", (answered, cached_tokens):
            messages = (user("so"), assistant("so")) if answered else ()
            await stage.does(HandOffFinished(messages, ReportedUsage(None, cached_tokens, 3)))
        case "ends", _:
            await stage.does(End())
        case "hangs up", _:
            await stage.hangs_up()
        case "the engine waits", _:
            made.engine_gate.held = True
        case "the engine makes steps", (index, times):
            await made.steps(index, times)
        case "the engine goes on", _:
            made.engine_gate.open()
            await settle()
        case "the engine refuses", priority:
            made.engine.faults.refuse = {priority: 1}
        case "the engine breaks", _:
            made.engine.faults.break_answers = 1
        case "the engine evicts", _:
            made.engine.evict()
        case "blocks are touched", _:
            await made.touches()
        case "the client does not read", _:
            stage.client_gate.held = True
        case "the client reads", _:
            stage.client_gate.open()
            await settle()


async def played(script: list[tuple[int, list[Step]]], sessions: int, cut: bool, **kwargs: Any) -> World:
    """Play a script on some sessions, end them all, and return what is left: the books and the engine's counts."""
    async with world(**kwargs) as made:
        for number in range(sessions):
            opening = Open((SYSTEM,), session_key=f"session-{number}")
            if number == 2:  # it shares no blocks with the others; a secret makes that the same in each run
                opening = replace(opening, cache_scope=CacheScope.SESSION, cache_secret=b"0123456789abcdef")
            await made.opens(opening)
        for number, steps in script:
            for step in steps:
                await carry_out(made, made.sessions[number % sessions], step)
        made.engine.faults.refuse, made.engine.faults.break_answers = None, 0
        await made.comes_to_rest()
        for stage in made.sessions:
            await (stage.hangs_up() if cut else stage.does(End()))
        await made.comes_to_rest()
        for stage in made.sessions:
            assert stage.task.done()
            assert isinstance(stage.task.exception(), Refusal | None)
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left running"
        return made


# --- the relations


def check(made: World) -> None:
    """Compare the books of every turn, and what came of them, with the engine's counts."""
    for closing in made.closings:
        check_requests(closing)
        finished = finish_of(made, closing.balance)
        if finished is None:
            check_of_no_answer(made, closing)
        elif finished.reason != HANDED_OFF:
            check_answer(made, closing, finished)
    in_books = Counter(count for closing in made.closings for count in closing.counts)
    assert in_books == Counter(made.engine.counts), "each request is for one turn"
    check_flushes(made)
    check_metrics(made)


def check_requests(closing: Closing) -> None:
    """The books have every request that was for this turn."""
    balance, counts = closing.balance, closing.counts
    ahead = [count for count in counts if not count.is_answer]
    exact = sum(booked_tokens(count, counts) for count in ahead if count.answered)
    estimates = [count for count in ahead if not count.answered]
    assert balance.warms == sum(count.is_warm for count in ahead)
    assert exact <= balance.computed <= exact + sum(len(count.prompt) for count in estimates)
    begun = groups(counts)
    assert balance.pregenerations == len(begun)
    made = sum(len(count.made) for count in ahead if count.is_ahead)
    assert balance.adopted <= made
    assert balance.pregenerated <= made + UNSEEN_TOKENS * len(begun)
    if not any(row.outcome is PregenerationOutcome.ADOPTED for row in balance.outcomes):
        assert balance.pregenerated >= made
    event("with an estimate" if estimates else "without an estimate")
    event(f"rows: {', '.join(row for row in ROWS if getattr(balance, row)) or 'none'}")


def booked_tokens(count: Count, counts: Sequence[Count]) -> int:
    """Return what of a request the books have: of an answer that goes on, its draft's prompt alone."""
    return max(0, len(root_of(count, counts).prompt) - count.found) if count.is_ahead else count.computed


def root_of(count: Count, counts: Sequence[Count]) -> Count:
    """Return the first request of the answer that this one goes on with."""
    earlier = counts[: counts.index(count)]
    before = next((one for one in reversed(earlier) if one.is_ahead and one.continued_by(count)), None)
    return count if before is None else root_of(before, counts)


def groups(counts: Sequence[Count]) -> set[Count]:
    """Return the first request of each answer that was begun ahead."""
    return {root_of(count, counts) for count in counts if count.is_ahead}


def finish_of(made: World, balance: Balance) -> GenerationFinished | None:
    """Return what the client was told with these books; None if it was told nothing."""
    told = (finished for stage in made.sessions for finished in stage.all(GenerationFinished))
    return next((finished for finished in told if finished.ledger is balance), None)


def check_of_no_answer(made: World, closing: Closing) -> None:
    """What was computed for a session that never got an answer is abandoned."""
    stage = session_of(made, closing)
    if not stage.all(GenerationStarted) and not stage.all(HandedOff):
        assert closing.balance.computed == closing.balance.abandoned + closing.balance.kept
        assert closing.balance.adopted == 0
        event("a session without an answer")


def session_of(made: World, closing: Closing) -> Stage:
    return next(stage for stage in made.sessions if stage.opening.session_key == closing.session)


def check_answer(made: World, closing: Closing, finished: GenerationFinished) -> None:
    """What the client is told of an answer is what the engine counted, and decides the rows."""
    stage = session_of(made, closing)
    started = [one for one in stage.all(GenerationStarted) if one.seq == finished.seq]
    if not started:  # it was stopped before its first token: what it would have found is only believed
        assert finished.completion_tokens == 0
        return
    adopted = started[0].source is Source.PREGENERATED
    answer = asked_for(closing, adopted=adopted)
    assert finished.prompt_tokens == len(answer.prompt)
    assert finished.cached_tokens == answer.found
    if not adopted:
        assert finished.completion_tokens == len(answer.made)
    elif finished.reason != CANCELLED:
        assert closing.balance.adopted <= finished.completion_tokens
    event(f"answer: {started[0].source.name}, {finished.reason}")
    if closing.balance.kept == 0 and all(count.answered for count in closing.counts if not count.is_answer):
        found = len(answer.prompt) if adopted else answer.found
        assert rows_of(closing.balance) == rows_by_counts(closing.counts, answer.prompt, found)
        event("rows compared one by one")


def asked_for(closing: Closing, *, adopted: bool) -> Count:
    """Return the request that the answer began with."""
    if adopted:
        return root_of(next(one for one in reversed(closing.counts) if one.is_ahead and one.answered), closing.counts)
    return next(count for count in reversed(closing.counts) if count.is_answer)


def rows_of(balance: Balance) -> dict[str, int]:
    return {row: getattr(balance, row) for row in ROWS}


def rows_by_counts(counts: Sequence[Count], prompt: list[int], found: int) -> dict[str, int]:
    """Return the rows as the engine's counts have them, token by token, if the answer found so much of its prompt."""
    used, rows = set[int](), dict.fromkeys(ROWS, 0)
    for count in counts:
        if count.is_answer:
            continue
        ids = root_of(count, counts).prompt if count.is_ahead else count.prompt
        for position in range(count.found, len(ids)):
            if ids[: position + 1] != prompt[: position + 1]:
                rows["edited_away"] += 1
            elif position < found and position not in used:
                used.add(position)
            else:
                rows["evicted"] += 1
    return rows | {"used": len(used)}


def check_flushes(made: World) -> None:
    """What FlushResults report as computed was computed by warms of that session."""
    for stage in made.sessions:
        told = sum(result.computed_tokens for result in stage.all(FlushResult))
        route = f"/{stage.opening.session_key}"
        warms = [count for count in made.engine.counts if count.is_warm and count.request.route == route]
        assert told <= sum(count.computed for count in warms if count.answered)


def check_metrics(made: World) -> None:
    """The operator sees the sums of all books."""
    balances = [closing.balance for closing in made.closings]
    booked = made.samples("warm_tokens_total")
    assert [booked.get(row, 0) for row in ROWS] == [sum(getattr(one, row) for one in balances) for row in ROWS]
    warms = [count for count in made.engine.counts if count.is_warm]
    sent = made.samples("warms_total")
    assert sum(sent.values()) == len(warms)
    assert sent.get("computed", 0) == sum(count.answered for count in warms)
    assert made.samples("pregenerations_total")[""] == sum(one.pregenerations for one in balances)
    tokens = made.samples("pregenerated_tokens_total")
    assert tokens.get("adopted", 0) == sum(one.adopted for one in balances)
    assert tokens.get("discarded", 0) == sum(one.discarded for one in balances)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    script=SCRIPTS,
    sessions=st.integers(1, 3),
    cut=st.booleans(),
    tick=st.sampled_from([1.0, 1e-6]),
    cache_blocks=st.sampled_from([4096, 24]),
    chat=st.sampled_from([FakeChat(), OtherChat()]),
)
def test_the_books_are_what_the_engine_counts(
    script: list[tuple[int, list[Step]]], sessions: int, cut: bool, tick: float, cache_blocks: int, chat: FakeChat
) -> None:
    check(asyncio.run(played(script, sessions, cut, tick=tick, cache_blocks=cache_blocks, chat=chat)))
