"""Whose job is next: nobody waits for all that another has asked for."""

import pytest
from forefill_service.fleet.fair_queue import NOBODYS, RECENT, FairQueue, Line

ANNA, ANNAS_OTHER, BEN = Line("anna", "1"), Line("anna", "2"), Line("ben", "1")


def queue(*jobs: tuple[Line, str], most_running: int = 9, places: int = 9) -> FairQueue[str]:
    filled: FairQueue[str] = FairQueue(most_running, places)
    for caller, job in jobs:
        filled.put(caller, job)
    return filled


def taken(jobs: FairQueue[str], lines: dict[str, Line]) -> list[str]:
    """Take all, each of which ends at once."""
    order = []
    while jobs.ready:
        order.append(jobs.take())
        jobs.ended(lines[order[-1][0]])
    return order


def test_callers_take_turns_and_so_do_the_sessions_of_each() -> None:
    lines = {"a": ANNA, "o": ANNAS_OTHER, "b": BEN}
    jobs = queue(*[(lines[job[0]], job) for job in ("a1", "a2", "a3", "o1", "o2", "b1", "b2")])
    assert len(jobs) == 7
    assert taken(jobs, lines) == ["a1", "b1", "o1", "b2", "a2", "o2", "a3"]
    assert len(jobs) == 0


def test_a_session_has_one_job_running_at_once_and_others_pass_it() -> None:
    jobs = queue((ANNA, "a1"), (ANNA, "a2"), (ANNAS_OTHER, "o1"))
    assert [jobs.take(), jobs.take()] == ["a1", "o1"]
    assert not jobs.ready
    with pytest.raises(LookupError):
        jobs.take()
    jobs.ended(ANNAS_OTHER)
    assert not jobs.ready
    jobs.ended(ANNA)
    assert jobs.take() == "a2"


def test_a_caller_has_a_bounded_number_of_jobs_running_at_once() -> None:
    jobs = queue(*[(Line("anna", str(session)), f"a{session}") for session in range(3)], (BEN, "b"), most_running=2)
    assert [jobs.take() for _ in range(3)] == ["a0", "b", "a1"]
    assert not jobs.ready
    jobs.ended(BEN)
    assert not jobs.ready
    jobs.ended(Line("anna", "0"))
    assert jobs.take() == "a2"


def sessions_of(caller: str, number: int) -> list[tuple[Line, str]]:
    return [(Line(caller, str(session)), f"{caller}{session}") for session in range(number)]


def test_a_caller_alone_may_have_all_places() -> None:
    jobs = queue(*sessions_of("anna", 3), places=2)
    assert [jobs.take(), jobs.take()] == ["anna0", "anna1"]


@pytest.mark.parametrize(("places", "most"), [(1, 1), (2, 1), (4, 3)])
def test_while_several_come_none_has_all_places(places: int, most: int) -> None:
    jobs = queue((BEN, "b"), *sessions_of("anna", 5), places=places)
    assert jobs.take() == "b"
    jobs.ended(BEN)
    assert [jobs.take() for _ in range(most)] == [f"anna{number}" for number in range(most)]
    assert not jobs.ready
    jobs.put(BEN, "b2")
    assert jobs.take() == "b2"


def test_one_who_has_not_come_for_long_keeps_no_place_free() -> None:
    jobs = queue((BEN, "b"), *sessions_of("anna", RECENT), places=2)
    assert jobs.take() == "b"
    jobs.ended(BEN)
    for line, job in sessions_of("anna", RECENT):
        assert jobs.take() == job
        jobs.ended(line)
    for line, job in sessions_of("anna", 2):
        jobs.put(line, job)
    assert [jobs.take(), jobs.take()] == ["anna0", "anna1"]


def test_slow_jobs_have_no_place() -> None:
    jobs = queue((BEN, "b"), *sessions_of("anna", 4), places=2)
    jobs.take()
    jobs.take()
    assert not jobs.ready
    jobs.slowed(Line("anna", "0"))
    assert jobs.take() == "anna1"
    assert not jobs.ready
    jobs.ended(Line("anna", "0"), slow=True)
    assert not jobs.ready
    jobs.ended(Line("anna", "1"))
    assert jobs.take() == "anna2"


def test_jobs_of_nobody_may_all_run_at_once() -> None:
    jobs = queue(*[(NOBODYS, str(number)) for number in range(4)], most_running=1)
    assert [jobs.take() for _ in range(4)] == ["0", "1", "2", "3"]


def test_a_job_that_is_discarded_is_never_taken() -> None:
    jobs = queue((ANNA, "a1"), (ANNA, "a2"), (BEN, "b1"))
    jobs.discard(ANNA, "a1")
    jobs.discard(BEN, "b1")
    jobs.discard(BEN, "b1")
    assert len(jobs) == 1
    assert jobs.take() == "a2"
    jobs.discard(ANNA, "a2")
    assert (len(jobs), jobs.ready) == (0, False)


def test_all_that_wait_can_be_taken_out() -> None:
    jobs = queue((ANNA, "a1"), (BEN, "b1"))
    assert jobs.clear() == ["a1", "b1"]
    assert (len(jobs), jobs.ready) == (0, False)
