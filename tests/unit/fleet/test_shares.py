"""What one caller may have, so that the others have theirs."""

from contextlib import ExitStack
from typing import Any

import pytest
from forefill_service.access.caller import ANYBODY, Caller
from forefill_service.errors import Reason, Refusal
from forefill_service.fleet import shares
from forefill_service.fleet.shares import LONGEST_REFUSAL_SECONDS, REFUSALS_PER_SECOND, Shares
from forefill_service.settings import Settings

from tests.support.hand_clock import HandClock

ADA, BOB = Caller("ada"), Caller("bob")


def shared(clock: HandClock | None = None, **settings: Any) -> Shares:
    return Shares.of(Settings(**settings), clock or HandClock())


def refused(shares: Shares, caller: Caller) -> Refusal:
    with pytest.raises(Refusal) as raised, shares.session(caller):
        pass
    return raised.value


def test_one_caller_has_at_most_half_of_the_places_unless_told_otherwise() -> None:
    assert shared(max_sessions=10).sessions_per_caller == 5
    assert shared(max_sessions=1).sessions_per_caller == 1
    assert shared(max_sessions=10, sessions_per_caller=9).sessions_per_caller == 9


def test_a_caller_that_has_its_share_is_refused_and_the_others_are_not() -> None:
    clock = HandClock()
    places = shared(clock, sessions_per_caller=2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(places.session(ADA))
        assert refused(places, ADA).reason is Reason.RATE_LIMITED
        with places.session(BOB):
            pass
    clock.now += 1
    with places.session(ADA):
        pass


def test_a_caller_that_opens_too_fast_is_told_when_to_come_again() -> None:
    clock = HandClock()
    places = shared(clock, sessions_per_caller=3, opens_per_second=4)
    for _ in range(3):
        with places.session(ADA):
            pass
    refusal = refused(places, ADA)
    assert refusal.reason is Reason.RATE_LIMITED
    assert refusal.retry_after_seconds == pytest.approx(0.25)
    with places.session(BOB):
        pass
    clock.now += 0.25
    with places.session(ADA):
        pass


def test_a_caller_that_asks_again_and_again_is_refused_ever_later_up_to_a_second() -> None:
    clock = HandClock()
    ada = shared(clock).share(ADA)
    waits = [ada.refusal_seconds for _ in range(3 * REFUSALS_PER_SECOND)]
    assert waits[: REFUSALS_PER_SECOND + 1] == [0] * (REFUSALS_PER_SECOND + 1)
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_REFUSAL_SECONDS
    clock.now += 2
    assert ada.refusal_seconds < LONGEST_REFUSAL_SECONDS, "however often it asked before"


def test_callers_that_nobody_tells_apart_have_all_of_the_server() -> None:
    places = shared(sessions_per_caller=1, opens_per_second=1, answers_per_caller=1)
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(places.session(ANYBODY))
    answers = places.share(ANYBODY).answers
    assert not answers.locked()


async def test_a_caller_has_so_many_answers_at_once() -> None:
    places = shared(answers_per_caller=2)
    for _ in range(2):
        await places.share(ADA).answers.acquire()
    assert places.share(ADA).answers.locked()
    assert not places.share(BOB).answers.locked()


def test_callers_that_have_left_are_forgotten_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "FORGET_ABOVE", 3)
    clock = HandClock()
    places = shared(clock, opens_per_second=1)
    with places.session(ADA):
        for number in range(10):
            with places.session(Caller(str(number))):
                pass
            clock.now += 1
        assert len(places._by_caller) <= 4
        assert places.share(ADA).sessions == 1


def test_tokens_that_were_used_beyond_the_quota_have_to_be_waited_for() -> None:
    clock = HandClock()
    places = shared(clock, tokens_per_minute=600)
    ada = places.share(ADA)
    ada.used(600)
    assert ada.quota_seconds == 0, "all of them may be used at once"
    ada.used(50)
    assert ada.quota_seconds == pytest.approx(5)
    assert places.share(BOB).quota_seconds == 0
    clock.now += 5
    assert ada.quota_seconds == 0


def test_unless_there_is_a_quota_tokens_are_not_counted() -> None:
    ada = shared().share(ADA)
    ada.used(10**9)
    assert ada.quota_seconds == 0
    anybody = shared(tokens_per_minute=1).share(ANYBODY)
    anybody.used(10**9)
    assert anybody.quota_seconds == 0
