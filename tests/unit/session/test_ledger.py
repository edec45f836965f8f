"""Where every warmed token went."""

from forefill_service.chat.token_ids import TokenIds
from forefill_service.session.ledger import Balance, Ledger, PregenerationCount, PregenerationOutcome


def counted(length: int) -> TokenIds:
    return TokenIds((), tuple(range(length)))


def edited(common: int, length: int) -> TokenIds:
    return TokenIds((), (*range(common), *range(1000, 1000 + length - common)))


def one(outcome: PregenerationOutcome, tokens: int = 0) -> tuple[PregenerationCount, ...]:
    return (PregenerationCount(outcome, 1, tokens, 0.0),)


def test_what_submit_finds_again_is_used() -> None:
    ledger = Ledger()
    assert ledger.warmed(counted(16), cached_tokens=0) == 16
    assert ledger.warmed(counted(24), cached_tokens=16) == 8
    assert ledger.settle(counted(30), cached_tokens=24) == Balance(warms=2, used=24)


def test_what_was_cached_before_us_is_not_ours() -> None:
    ledger = Ledger()
    ledger.warmed(counted(24), cached_tokens=16)
    assert ledger.settle(counted(30), cached_tokens=24) == Balance(warms=1, used=8)


def test_what_was_edited_away_is_waste() -> None:
    ledger = Ledger()
    ledger.warmed(counted(16), cached_tokens=0)
    assert ledger.settle(edited(8, 30), cached_tokens=8) == Balance(warms=1, used=8, edited_away=8)


def test_what_submit_does_not_find_again_is_evicted() -> None:
    ledger = Ledger()
    ledger.warmed(counted(16), cached_tokens=0)
    assert ledger.settle(counted(30), cached_tokens=4) == Balance(warms=1, used=4, evicted=12)


def test_what_was_computed_twice_is_used_once() -> None:
    ledger = Ledger()
    ledger.warmed(counted(16), cached_tokens=0)
    ledger.warmed(counted(16), cached_tokens=0)  # evicted in between
    assert ledger.settle(counted(30), cached_tokens=16) == Balance(warms=2, used=16, evicted=16)


def test_of_two_that_begin_at_the_same_token_the_one_that_submit_asks_for_is_used() -> None:
    ledger = Ledger()
    ledger.warmed(edited(100, 160), cached_tokens=96)
    ledger.warmed(counted(160), cached_tokens=96)  # its first 4 tokens were computed once before
    assert ledger.settle(counted(170), cached_tokens=160) == Balance(warms=2, used=64, edited_away=60, evicted=4)


def test_what_goes_on_where_a_dropped_pregeneration_began_is_used() -> None:
    ledger = Ledger()
    ledger.pregenerated(edited(120, 150), cached_tokens=96)
    ledger.guessed(PregenerationOutcome.EDITED)
    ledger.warmed(counted(128), cached_tokens=96)
    assert ledger.settle(counted(170), cached_tokens=128) == Balance(
        warms=1,
        used=32,
        edited_away=30,
        evicted=24,
        pregenerations=1,
        outcomes=one(PregenerationOutcome.EDITED),
    )


def test_what_was_evicted_and_computed_with_more_behind_it_is_used_to_its_end() -> None:
    ledger = Ledger()
    ledger.warmed(counted(96), cached_tokens=0)
    ledger.warmed(counted(128), cached_tokens=0)
    assert ledger.settle(counted(140), cached_tokens=128) == Balance(warms=2, used=128, evicted=96)


def test_what_was_computed_at_another_place_is_lost_whatever_others_have_cached_at_this_one() -> None:
    ledger = Ledger()
    ledger.warmed(counted(16), cached_tokens=0, place="one")
    ledger.pregenerated(counted(26), 16, "one")
    ledger.guessed(PregenerationOutcome.UNUSED)
    ledger.warmed(counted(24), cached_tokens=16, place="two")
    assert ledger.settle(counted(30), 24, "two") == Balance(
        warms=2, used=8, evicted=26, pregenerations=1, outcomes=one(PregenerationOutcome.UNUSED)
    )


def test_a_failed_warm_is_abandoned_work() -> None:
    ledger = Ledger()
    ledger.failed(16)
    assert ledger.settle(counted(30), cached_tokens=0) == Balance(warms=1, abandoned=16)


def test_without_submit_all_is_abandoned() -> None:
    ledger = Ledger()
    ledger.warmed(counted(16), cached_tokens=8)
    ledger.failed(4)
    assert ledger.abandon() == Balance(warms=2, abandoned=12)


def test_what_an_answer_found_that_never_ended_is_used() -> None:
    ledger = Ledger()
    ledger.warmed(edited(16, 24), cached_tokens=0, place="one")
    ledger.failed(4)
    ledger.began(counted(30), 16, "one")
    assert ledger.abandon() == Balance(warms=2, used=16, edited_away=8, abandoned=4)


def test_an_answer_that_broke_off_counts_for_nothing_once_another_has_begun() -> None:
    for whole in (False, True):
        ledger = Ledger()
        ledger.warmed(counted(16), cached_tokens=0)
        ledger.began(counted(30), 0)
        ledger.began(counted(30), 16)
        assert (ledger.settle(counted(30), 16) if whole else ledger.abandon()) == Balance(warms=1, used=16)


def test_books_are_closed_once() -> None:
    for closes in (lambda ledger: ledger.settle(counted(30), cached_tokens=16), Ledger.abandon):
        ledger = Ledger()
        ledger.warmed(counted(16), cached_tokens=0)
        ledger.began(counted(30), cached_tokens=16)
        assert not ledger.closed
        assert closes(ledger) == Balance(warms=1, used=16)
        assert ledger.closed
        assert ledger.settle(counted(60), cached_tokens=30) == Balance()
        assert ledger.abandon() == Balance()


def test_the_prompt_of_an_adopted_pregeneration_is_used_to_its_end() -> None:
    ledger = Ledger()
    ledger.warmed(counted(16), cached_tokens=0)
    ledger.pregenerated(counted(30), cached_tokens=16)
    ledger.guessed(PregenerationOutcome.ADOPTED, adopted=5, discarded=1)
    balance = ledger.settle(counted(30), cached_tokens=30)
    assert balance == Balance(
        warms=1,
        used=30,
        pregenerations=1,
        adopted=5,
        discarded=1,
        outcomes=one(PregenerationOutcome.ADOPTED, 6),
    )
    assert (balance.computed, balance.pregenerated) == (30, 6)


def test_the_prompt_of_a_pregeneration_is_used_as_far_as_submit_finds_it() -> None:
    ledger = Ledger()
    ledger.pregenerated(edited(20, 30), cached_tokens=0)
    ledger.guessed(PregenerationOutcome.EDITED, discarded=3)
    assert ledger.settle(counted(40), cached_tokens=16) == Balance(
        used=16,
        edited_away=10,
        evicted=4,
        pregenerations=1,
        discarded=3,
        outcomes=one(PregenerationOutcome.EDITED, 3),
    )


def test_a_pregeneration_that_failed_before_its_first_token_is_abandoned_work() -> None:
    ledger = Ledger()
    ledger.pregenerated(counted(30), None, new_tokens=14)
    ledger.guessed(PregenerationOutcome.FAILED)
    assert ledger.settle(counted(30), cached_tokens=0) == Balance(
        abandoned=14, pregenerations=1, outcomes=one(PregenerationOutcome.FAILED)
    )
    assert ledger.settle(counted(30), cached_tokens=0) == Balance()


def test_without_submit_a_pregeneration_is_abandoned_and_discarded() -> None:
    ledger = Ledger()
    ledger.pregenerated(counted(30), cached_tokens=16)
    ledger.guessed(PregenerationOutcome.UNUSED, discarded=4)
    assert ledger.abandon() == Balance(
        abandoned=14, pregenerations=1, discarded=4, outcomes=one(PregenerationOutcome.UNUSED, 4)
    )


def test_engine_time_is_booked_by_what_became_of_it_and_for_the_answer() -> None:
    ledger = Ledger()
    ledger.guessed(PregenerationOutcome.EDITED, discarded=1, engine_seconds=0.25)
    ledger.guessed(PregenerationOutcome.EDITED, discarded=2, engine_seconds=0.5)
    ledger.guessed(PregenerationOutcome.ADOPTED, adopted=4, engine_seconds=1.0)
    ledger.answered(5.0)
    balance = ledger.settle(counted(30), cached_tokens=30)
    assert balance.outcomes == (
        PregenerationCount(PregenerationOutcome.EDITED, 2, 3, 0.75),
        PregenerationCount(PregenerationOutcome.ADOPTED, 1, 4, 1.0),
    )
    assert (balance.wasted_engine_seconds, balance.adopted_engine_seconds) == (0.75, 1.0)
    assert (balance.pregenerations, balance.pregenerated, balance.answer_engine_seconds) == (3, 7, 5.0)
