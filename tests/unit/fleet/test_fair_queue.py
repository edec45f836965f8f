"""Whose job is next: nobody waits for all that another has asked for."""

import pytest
from forefill_service.fleet.fair_queue import NOBODYS, FairQueue, Line

ANNA, ANNAS_OTHER, BEN = Line("anna", "1"), Line("anna", "2"), Line("ben", "1")


def queue(*jobs: tuple[Line, str], most_running: int = 9) -> FairQueue[str]:
    filled: FairQueue[str] = FairQueue(most_running)
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
