"""The steps of an engine, and how long they take: as vLLM's scheduler makes them."""

from collections import Counter
from collections.abc import Sequence

import pytest
from forefill_bench.sim.steps import Step, StepModel, Steps
from forefill_service.cache.blocks import chained
from forefill_service.engine import EngineLoad, Priority
from forefill_service.engine.fake import Job
from forefill_service.engine.fake.block_pool import BlockPool
from forefill_service.scheduling.prefill_times import Coefficients

BLOCK = 8
TIMES = Coefficients(fixed=0.020, per_token=0.001, per_thousand_pairs=0.5)


class Engine:
    """An engine whose steps go by at once."""

    def __init__(self, *, batch: int = 64, sequences: int = 8, blocks: int = 1000) -> None:
        self.pool = BlockPool(blocks)
        model = StepModel(TIMES, max_batched_tokens=batch, max_sequences=sequences)
        self.steps = Steps(model, self.pool, BLOCK)
        self.answered: Counter[Job] = Counter()

    def add(self, prompt: Sequence[int], answer_tokens: int = 1, priority: Priority = Priority.GENERATION) -> Job:
        said = range(10_000, 10_000 + answer_tokens - 1)
        job = Job(priority, chained(0, [*prompt, *said], BLOCK), len(prompt), answer_tokens)
        self.steps.add(job)
        return job

    def step(self) -> tuple[dict[Job, int], list[Job]]:
        """Do a step; return what it computed for each request, and who has one more token of its answer."""
        step = self.begun()
        told = self.steps.end(step)
        self.answered.update(told)
        return {part.job: part.new_tokens for part in step.parts}, told

    def finished(self, job: Job) -> bool:
        return self.answered[job] == job.answer_tokens

    def begun(self) -> Step:
        step = self.steps.begin()
        assert step is not None
        return step


def ids(count: int, first: int = 0) -> range:
    return range(first, first + count)


def test_without_requests_there_is_no_step() -> None:
    assert Engine().steps.begin() is None


def test_a_prompt_is_computed_and_answered_a_token_a_step() -> None:
    engine = Engine()
    job = engine.add(ids(20), answer_tokens=3)
    assert engine.step() == ({job: 20}, [job])
    assert engine.step() == ({job: 1}, [job])
    assert not engine.finished(job)
    assert engine.step() == ({job: 1}, [job])
    assert engine.finished(job)
    assert engine.steps.begin() is None


def test_a_step_takes_the_fixed_time_and_that_of_all_tokens_and_pairs_in_it() -> None:
    engine = Engine()
    engine.add(ids(10))
    engine.add(ids(20, first=500))
    assert engine.begun().seconds == pytest.approx(0.020 + 0.001 * 30 + 0.5 * (10 * 5 + 20 * 10) / 1000)


def test_a_token_of_an_answer_looks_at_all_before_it() -> None:
    engine = Engine()
    engine.add(ids(40), answer_tokens=2)
    engine.step()
    assert engine.begun().seconds == pytest.approx(0.020 + 0.001 + 0.5 * 40.5 / 1000)


def test_each_request_of_a_step_adds_its_own_and_reads_again_all_before_it() -> None:
    model = StepModel(Coefficients(fixed=0.020), per_request=0.001, per_thousand_read=0.5)
    assert model.added_seconds(7, behind=0) == pytest.approx(0.001)
    assert model.added_seconds(7, behind=400) == pytest.approx(0.001 + 0.5 * 0.4)


def test_a_long_prompt_is_computed_in_chunks_and_answered_at_the_last() -> None:
    engine = Engine(batch=64)
    job = engine.add(ids(150))
    assert engine.step() == ({job: 64}, [])
    assert engine.step() == ({job: 64}, [])
    assert engine.step() == ({job: 22}, [job])


def test_who_runs_comes_before_who_waits_in_a_step_without_room_for_all() -> None:
    engine = Engine(batch=64)
    runs = engine.add(ids(10), answer_tokens=9)
    engine.step()
    comes = engine.add(ids(100, first=500))
    assert engine.step() == ({runs: 1, comes: 63}, [runs])
    assert engine.step() == ({runs: 1, comes: 37}, [runs, comes])


def test_who_waits_begins_by_priority_and_then_as_they_came() -> None:
    engine = Engine(sequences=1)
    order = [Priority.WARM, Priority.WARM, Priority.GENERATION, Priority.PREGENERATION]
    jobs = [engine.add(ids(10, first=100 * n), priority=priority) for n, priority in enumerate(order)]
    begun = [next(iter(engine.step()[0])) for _ in jobs]
    assert begun == [jobs[2], jobs[3], jobs[0], jobs[1]]


def test_a_warm_that_runs_keeps_its_place_before_a_generation_that_comes() -> None:
    engine = Engine(batch=64)
    warm = engine.add(ids(160), priority=Priority.WARM)
    engine.step()
    comes = engine.add(ids(16, first=500))
    assert engine.step()[0] == {warm: 64}
    assert engine.step()[0] == {warm: 32, comes: 16}


def test_no_more_run_than_are_allowed() -> None:
    engine = Engine(sequences=2)
    jobs = [engine.add(ids(4, first=100 * n)) for n in range(3)]
    assert list(engine.step()[0]) == jobs[:2]
    assert list(engine.step()[0]) == jobs[2:]


def test_what_was_computed_is_found_but_for_the_block_of_the_last_token() -> None:
    engine = Engine()
    engine.add(ids(3 * BLOCK))
    engine.step()
    longer, same = engine.add(ids(3 * BLOCK + 5)), engine.add(ids(3 * BLOCK))
    assert engine.step()[0] == {longer: 5, same: BLOCK}
    assert (longer.cached, same.cached) == (3 * BLOCK, 2 * BLOCK)


def test_an_answer_is_found_again_but_for_its_last_token() -> None:
    engine = Engine()
    first = engine.add(ids(BLOCK), answer_tokens=BLOCK + 1)
    while not engine.finished(first):
        engine.step()
    said = range(10_000, 10_000 + BLOCK)
    again = engine.add([*ids(BLOCK), *said, 7])
    engine.step()
    assert again.cached == 2 * BLOCK


def test_two_prompts_that_begin_alike_in_one_step_are_both_computed() -> None:
    engine = Engine()
    one, two = engine.add(ids(20)), engine.add(ids(20))
    assert engine.step()[0] == {one: 20, two: 20}


def test_a_request_waits_until_all_blocks_of_its_prompt_and_answer_are_free() -> None:
    engine = Engine(blocks=6)
    runs = engine.add(ids(3 * BLOCK), answer_tokens=BLOCK)
    waits = engine.add(ids(3 * BLOCK, first=500))
    while not engine.finished(runs):
        assert waits not in engine.step()[0]
    assert waits in engine.step()[0]


def test_who_does_not_fit_lets_nobody_overtake() -> None:
    engine = Engine(blocks=6)
    engine.add(ids(3 * BLOCK), answer_tokens=3)
    engine.step()
    engine.add(ids(4 * BLOCK, first=500))
    small = engine.add(ids(4, first=900))
    assert small not in engine.step()[0]


def test_a_request_that_could_never_run_is_known() -> None:
    engine = Engine(blocks=2)
    assert engine.steps.fits(Job(Priority.WARM, (), 2 * BLOCK, 1))
    assert not engine.steps.fits(Job(Priority.WARM, (), 2 * BLOCK, 2))


def test_a_request_that_is_dropped_in_a_step_says_nothing_and_leaves_what_it_had_filled() -> None:
    engine = Engine(batch=32)
    job = engine.add(ids(64))
    engine.step()
    step = engine.begun()
    engine.steps.drop(job)
    assert engine.steps.end(step) == []
    assert engine.pool.held == 0
    assert engine.pool.leading(job.names) == 32 // BLOCK
    assert engine.steps.begin() is None


def test_a_request_that_is_dropped_while_it_waits_never_runs() -> None:
    engine = Engine(sequences=1)
    first, second = engine.add(ids(4)), engine.add(ids(4, first=500))
    engine.steps.drop(first)
    assert list(engine.step()[0]) == [second]


def test_load_tells_who_runs_who_waits_and_what_they_hold() -> None:
    engine = Engine(sequences=1, blocks=10)
    engine.add(ids(4 * BLOCK), answer_tokens=3)
    engine.add(ids(BLOCK, first=500))
    assert engine.steps.load == EngineLoad(0, 2, 0.0)
    engine.step()
    assert engine.steps.load == EngineLoad(1, 1, 0.5)
