"""When the answer to a draft is begun before SUBMIT."""

from forefill_service.session.guesses import Guesses, begin_at


def test_a_draft_is_tried_so_many_times() -> None:
    guesses = Guesses(2, adaptive=False)
    for _ in range(2):
        assert guesses.may_try
        guesses.begun()
    assert not guesses.may_try
    assert guesses.for_next_draft().may_try


def test_wrong_guesses_in_a_row_make_the_pause_longer() -> None:
    adaptive, steady = Guesses(100, adaptive=True), Guesses(100, adaptive=False)
    factors = []
    for _ in range(8):
        factors.append(adaptive.pause_factor)
        assert steady.pause_factor == 1
        adaptive.begun()
        steady.begun()
        adaptive = adaptive.for_next_draft()
    assert factors == [1, 1, 2, 4, 8, 16, 16, 16]
    adaptive.came_true()
    assert adaptive.pause_factor == 1


def test_a_draft_is_begun_after_the_pause_that_its_session_has_to_make() -> None:
    guesses = Guesses(5, adaptive=True)
    assert begin_at("so", 10.0, guesses, 0.6) == 10.6
    for _ in range(3):
        guesses.begun()
    assert begin_at("so", 10.0, guesses, 0.5) == 12.0


def test_nothing_is_begun_for_an_empty_draft_or_one_that_was_tried_often_enough() -> None:
    guesses = Guesses(1, adaptive=False)
    assert begin_at("", 10.0, guesses, 0.6) is None
    guesses.begun()
    assert begin_at("so", 10.0, guesses, 0.6) is None
