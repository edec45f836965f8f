"""The schedule, decided before anything is sent."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from forefill_bench.typing.arms import ARMS, Prepared
from forefill_bench.typing.schedule import Pace, Trial, plan_load, plan_trials, plan_window, typing_model
from forefill_bench.typing.texts import NONCE_DIGITS, Nonces, question
from forefill_bench.typing.workloads import WORKLOADS
from forefill_client.keystrokes import SAMPLE_QUERIES

MODEL = typing_model(100.0)
SOLO = [name for name in WORKLOADS if name != "load"]
PACE = Pace(seconds=60, cycle_seconds=20, background_rate=1.0, mean_delay_ms=100)


def trials(workload: str = "context", seed: int = 1, queries: int = 6) -> list[Trial]:
    chosen = WORKLOADS[workload]
    return plan_trials(chosen, chosen.arms_among(ARMS), queries, MODEL, 1500, seed)


@pytest.mark.parametrize("workload", SOLO)
def test_a_seed_repeats_the_whole_plan(workload: str) -> None:
    assert trials(workload, seed=1) == trials(workload, seed=1)
    assert trials(workload, seed=1) != trials(workload, seed=2)


@pytest.mark.parametrize("workload", SOLO)
def test_a_round_that_is_not_counted_wakes_every_arm_up_first(workload: str) -> None:
    plan = trials(workload)
    arms = len(WORKLOADS[workload].arms)
    assert not any(trial.counted for trial in plan[:arms])
    assert all(trial.counted for trial in plan[arms:])
    assert {trial.arm.name for trial in plan[:arms]} == {arm.name for arm in WORKLOADS[workload].arms}


def test_all_arms_are_interleaved_in_an_order_that_changes() -> None:
    plan = [trial for trial in trials() if trial.counted]
    rounds = [[trial.arm.name for trial in plan if trial.index == index] for index in range(6)]
    assert [trial.index for trial in plan] == sorted(trial.index for trial in plan)
    assert all(sorted(order) == sorted(ARMS) for order in rounds)
    assert len(set(map(tuple, rounds))) > 1


def test_all_arms_submit_the_same_texts() -> None:
    for workload in SOLO:
        texts = Counter(tuple(script[-1].draft for script in trial.scripts) for trial in trials(workload))
        assert all(number % len(WORKLOADS[workload].arms) == 0 for number in texts.values())


def test_all_arms_have_the_same_keys_at_the_same_times_but_for_the_pause() -> None:
    by_arm = {trial.arm.name: trial.scripts[0] for trial in trials() if trial.index == 3}
    assert {script for arm, script in by_arm.items() if arm != "pregen"} == {by_arm["typed"]}
    assert by_arm["pregen"][:-1] == by_arm["typed"][:-1]
    assert by_arm["pregen"][-1].at_ms == by_arm["typed"][-2].at_ms + 1500


def test_turns_share_the_queries_out() -> None:
    counted = [trial for trial in trials("turns", queries=6) if trial.counted and trial.arm.name == "typed"]
    asked = [script[-1].draft for trial in counted for script in trial.scripts]
    assert asked == list(SAMPLE_QUERIES[:6])


def test_overhead_asks_the_same_cached_prompt_both_ways() -> None:
    counted = [trial for trial in trials("overhead") if trial.counted]
    assert {trial.scripts[0][-1].draft for trial in counted} == {question(0)}
    assert {(trial.arm.name, trial.arm.prepared) for trial in counted} == {
        ("oracle", Prepared.WHOLE),
        ("remote", Prepared.WHOLE),
        ("direct", Prepared.WHOLE),
    }


def test_more_queries_than_there_are_samples_are_all_different() -> None:
    assert len({question(index) for index in range(70)}) == 70


def test_a_window_is_the_same_for_every_arm_and_repeatable() -> None:
    assert plan_window(4, PACE, 7) == plan_window(4, PACE, 7)
    assert plan_window(4, PACE, 7) != plan_window(4, PACE, 8)
    cells = plan_load(list(ARMS.values()), [2, 4], 2, PACE, 1500, 1)
    assert len(cells) == len(ARMS) * 2 * 2
    for turn in range(2):
        for number in (2, 4):
            same = [cell for cell in cells if (cell.round, cell.window.typists) == (turn, number)]
            assert {cell.arm.name for cell in same} == set(ARMS)
            assert len({cell.window.arrivals for cell in same}) == 1
            assert len({cell.window.sessions for cell in same if not cell.arm.pauses}) == 1
    assert len({cell.window.arrivals for cell in cells}) == 4, "each round and number has arrivals of its own"


@pytest.mark.parametrize("typists", [1, 5])
def test_every_typist_presses_enter_once_a_cycle(typists: int) -> None:
    window = plan_window(typists, PACE, 3)
    for typist in range(typists):
        enters = [one.submits_ms for one in window.sessions if one.typist == typist]
        assert all(later - earlier == pytest.approx(20_000) for earlier, later in pairwise(sorted(enters)))
        assert sum(one.counted for one in window.sessions if one.typist == typist) == 3


def test_what_is_counted_lies_behind_the_lead_in_and_before_the_end() -> None:
    window = plan_window(5, PACE, 3)
    assert window.ends_ms - window.lead_ms == pytest.approx(60_000)
    for session in window.sessions:
        assert session.begins_ms >= 0
        assert session.submits_ms >= window.lead_ms
        assert session.counted == (session.submits_ms < window.ends_ms)
    for arrival in window.arrivals:
        assert arrival.counted == (window.lead_ms <= arrival.at_ms < window.ends_ms)


def test_typing_for_the_next_window_goes_on_to_the_end() -> None:
    window = plan_window(5, PACE, 3)
    cut_off = [one for one in window.sessions if not one.counted]
    assert cut_off
    assert all(one.begins_ms < window.ends_ms <= one.submits_ms for one in cut_off)


def test_arrivals_come_at_their_rate_and_at_random() -> None:
    window = plan_window(1, replace(PACE, seconds=2000), 1)
    gaps = [later.at_ms - earlier.at_ms for earlier, later in pairwise(window.arrivals)]
    assert sum(gaps) / len(gaps) == pytest.approx(1000, rel=0.1)
    assert min(gaps) < 100 < 3000 < max(gaps)
    assert not plan_window(1, replace(PACE, background_rate=0), 1).arrivals


def test_a_pause_moves_enter_alone() -> None:
    window = plan_window(2, PACE, 3)
    waiting = window.paused(1500)
    assert waiting.arrivals == window.arrivals
    for before, after in zip(window.sessions, waiting.sessions, strict=True):
        assert after.begins_ms == before.begins_ms
        assert after.script[:-1] == before.script[:-1]
        assert after.submits_ms >= before.submits_ms
        assert after.counted == before.counted


def test_nonces_are_of_one_length_and_never_repeat() -> None:
    nonces = Nonces(Random(1))
    made = [nonces.fresh() for _ in range(1000)] + [nonces.kept("a"), nonces.kept("b")]
    assert len(set(made)) == len(made)
    assert {len(nonce) for nonce in made} == {NONCE_DIGITS}
    assert nonces.kept("a") == made[-2]


def test_two_runs_with_one_seed_share_no_nonce() -> None:
    one, two = ({Nonces().fresh()} for _ in range(2))
    assert not one & two
