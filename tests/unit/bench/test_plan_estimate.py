"""The formulas, with numbers that can be checked in one's head."""

from dataclasses import replace
from typing import Any

import pytest
from forefill_bench.capacity.estimate import QUESTION_TOKENS, UNCONFIRMED_TOKENS, estimate
from forefill_bench.sim.scenario import ReplicaSpec, Use

FREE: dict[str, Any] = {"attention_ms": 0.0, "request_ms": 0.0, "read_ms": 0.0, "overhead_ms": 0.0}
REPLICA = ReplicaSpec(prefill_tokens_per_second=1000, decode_ms=21, block_size=1, max_batched_tokens=500, **FREE)
"""Each token takes a millisecond, and each step 20 more."""
USE = Use(context_tokens=1000 - QUESTION_TOKENS, cycle_seconds=10, answer_tokens=100)
GAP_MS = 60.0


def test_cold_computes_all_in_chunks() -> None:
    assert estimate(REPLICA, USE, GAP_MS).ttft_ms["cold"] == pytest.approx(2 * 20 + 1000)


def test_static_computes_the_question_and_typed_what_could_not_be_known() -> None:
    expected = estimate(REPLICA, USE, GAP_MS)
    assert expected.ttft_ms["static"] == pytest.approx(20 + QUESTION_TOKENS)
    assert expected.ttft_ms["typed"] == pytest.approx(20 + UNCONFIRMED_TOKENS)
    assert expected.hit_share["cold"] == 0
    assert expected.hit_share["typed"] == pytest.approx(1 - UNCONFIRMED_TOKENS / 1000)


def test_half_a_block_is_computed_again_on_average() -> None:
    expected = estimate(replace(REPLICA, block_size=33), USE, GAP_MS)
    assert expected.ttft_ms["typed"] == pytest.approx(20 + UNCONFIRMED_TOKENS + 16)


def test_what_is_shared_is_warmed_by_nobody_and_hit_by_all() -> None:
    shared = Use(context_tokens=1000 - QUESTION_TOKENS, shared_tokens=600, cycle_seconds=10)
    expected = estimate(REPLICA, shared, GAP_MS)
    assert expected.hit_share["cold"] == pytest.approx(0.6)
    assert expected.warm_tokens_per_second == pytest.approx((400 - UNCONFIRMED_TOKENS) / 10)


def test_the_engine_is_full_when_questions_take_what_warms_may_have_of_it() -> None:
    expected = estimate(REPLICA, USE, GAP_MS)
    assert expected.prompt_seconds == pytest.approx((1000 - UNCONFIRMED_TOKENS) / 1000)
    assert expected.answer_seconds == pytest.approx(100 / 1000)
    assert expected.most_typists == pytest.approx(10 * 0.75 / (expected.prompt_seconds + expected.answer_seconds))


def test_attention_counts_every_pair() -> None:
    with_attention, without = estimate(replace(REPLICA, attention_ms=2), USE, GAP_MS), estimate(REPLICA, USE, GAP_MS)
    pairs_ms = 2 * 1000 * 500 / 1000
    assert with_attention.ttft_ms["cold"] - without.ttft_ms["cold"] == pytest.approx(pairs_ms, rel=1e-5)
    assert with_attention.answer_seconds - without.answer_seconds == pytest.approx(100 * 2 * 1000.5 / 1e6)


def test_what_a_request_costs_and_what_it_reads_again_is_added() -> None:
    expected = estimate(replace(REPLICA, request_ms=3, read_ms=10, overhead_ms=5, decode_ms=24), USE, GAP_MS)
    behind = 1000 - UNCONFIRMED_TOKENS
    assert expected.ttft_ms["typed"] == pytest.approx(5 + 20 + UNCONFIRMED_TOKENS + 3 + 10 * behind / 1000)


def test_the_step_is_what_is_left_of_the_gap_between_tokens() -> None:
    assert replace(REPLICA, decode_ms=24, request_ms=3).step_ms == pytest.approx(20)
    assert replace(REPLICA, decode_ms=0.5).step_ms == 0
