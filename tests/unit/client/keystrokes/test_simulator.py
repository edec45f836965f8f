"""The simulated user: what is typed, when, and when it flushes. Nothing here waits."""

import asyncio
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from forefill_client.keystrokes import (
    CONFIRMATION_BOUNDARIES,
    EventType,
    FlushRule,
    KeystrokeEvent,
    KeystrokeSimulator,
    TypingModel,
    plan_typing,
    simulate_from_file,
    simulate_typing,
)
from forefill_client.word_ends import RUN, ends_word
from hypothesis import given
from hypothesis import strategies as st

from tests.support.simulated_keys import Clock, confirmed_by_flushes, drain, new_queue, simulator_with
from tests.support.texts import HEX, MYANMAR, THAI

QUERY = "Show me all patients"

typing_models = st.builds(
    TypingModel,
    mean_delay_ms=st.floats(0, 500),
    std_delay_ms=st.floats(0, 200),
    debounce_ms=st.floats(0, 500),
    typo_rate=st.floats(0, 1),
    pause_after_boundary=st.floats(0, 500),
    flush_rule=st.sampled_from(FlushRule),
)


async def typed(text: str, **options: Any) -> list[KeystrokeEvent]:
    simulator = simulator_with(**options)
    await simulator.simulate_typing(text)
    return drain(simulator.queue)


def plan(text: str, model: TypingModel, seed: int = 1) -> list[KeystrokeEvent]:
    return [event for _, event in plan_typing(text, model, Random(seed))]


def count(events: list[KeystrokeEvent], event_type: EventType) -> int:
    return sum(event.event_type is event_type for event in events)


# What is typed


async def test_a_text_is_typed_key_by_key_then_submitted_then_ended() -> None:
    events = await typed("Hi", typo_rate=0)
    assert [(event.event_type, event.char, event.current_text, event.confirmed_text) for event in events] == [
        (EventType.CHAR_ADD, "H", "H", ""),
        (EventType.CHAR_ADD, "i", "Hi", ""),
        (EventType.SUBMIT, None, "Hi", "Hi"),
        (EventType.END, None, "Hi", "Hi"),
    ]


async def test_without_submit_the_text_is_left_as_it_is_and_ended() -> None:
    simulator = simulator_with()
    await simulator.simulate_typing(QUERY, submit_at_end=False)
    events = drain(simulator.queue)
    assert count(events, EventType.SUBMIT) == 0
    assert events[-1].event_type is EventType.END
    assert (simulator.session.confirmed_text, simulator.session.pending_text) == ("Show me all ", "patients")


async def test_an_empty_text_is_submitted_at_once() -> None:
    events = await typed("")
    assert [(event.event_type, event.timestamp_ms) for event in events] == [(EventType.SUBMIT, 0), (EventType.END, 0)]


async def test_one_key_is_one_code_point() -> None:
    family, e_acute = "\U0001f468\u200d\U0001f469", "e\u0301"
    events = await typed(family + e_acute, typo_rate=0)
    assert [event.char for event in events[:-2]] == [*family, *e_acute]
    assert events[-1].current_text == family + e_acute


async def test_each_typo_is_another_letter_deleted_at_once_and_typed_right() -> None:
    text = "all, of " * 20
    letters = [char for char in text if char.isalpha()]
    events = await typed(text, typo_rate=1, flush_rule=FlushRule.WORD)
    keys = [event for event in events if event.event_type in {EventType.CHAR_ADD, EventType.CHAR_DELETE}]
    assert len(keys) == len(text) + 2 * len(letters)
    wrong = [before.char for before, after in pairwise(keys) if after.char is None]
    right = [after.char for before, after in pairwise(keys) if before.char is None]
    assert right == letters
    assert all(typo != meant for typo, meant in zip(wrong, right, strict=True))
    assert events[-1].current_text == text


def test_typos_come_as_often_as_the_rate_says() -> None:
    events = plan("a" * 2_000, TypingModel(typo_rate=0.1))
    assert 150 < count(events, EventType.CHAR_DELETE) < 250


@given(st.text(max_size=30), typing_models, st.integers())
def test_whatever_happens_on_the_way_the_text_is_typed(text: str, model: TypingModel, seed: int) -> None:
    draft = ""
    for event in plan(text, model, seed):
        if event.event_type is EventType.CHAR_ADD:
            draft += event.char or ""
        elif event.event_type is EventType.CHAR_DELETE:
            draft = draft[:-1]
        assert event.current_text == draft
    assert draft == text


@given(st.text(max_size=30), typing_models, st.integers())
def test_confirmed_text_leads_the_draft_and_ends_at_a_boundary(text: str, model: TypingModel, seed: int) -> None:
    *events, submit = plan(text, model, seed)
    confirmed = ""
    for event in events:
        assert event.current_text.startswith(event.confirmed_text)
        if model.flush_rule is FlushRule.DEBOUNCE:
            assert event.confirmed_text[-1:] in {"", *CONFIRMATION_BOUNDARIES}
        elif event.event_type is EventType.FLUSH:
            last, rest = event.confirmed_text[-1], len(event.current_text) - len(event.confirmed_text)
            assert last in CONFIRMATION_BOUNDARIES or ends_word(last) or rest == RUN
        if event.event_type is EventType.FLUSH:
            assert len(event.confirmed_text) > len(confirmed)
        confirmed = event.confirmed_text
    assert submit.confirmed_text == text


# When it is typed


def test_the_notebooks_typist_takes_about_its_mean_delay_for_a_key() -> None:
    gaps = [gap for gap, _ in plan_typing("a" * 2_000, TypingModel(typo_rate=0), Random(1))][:-1]
    assert 145 < sum(gaps) / len(gaps) < 155
    assert 40 < (sum((gap - 150) ** 2 for gap in gaps) / len(gaps)) ** 0.5 < 60
    assert min(gaps) >= 20


@pytest.mark.parametrize("mean", [0, 5])
def test_a_faster_typist_than_the_fastest_key_is_taken_at_the_word(mean: float) -> None:
    gaps = [gap for gap, _ in plan_typing("abc", TypingModel(mean, std_delay_ms=0, typo_rate=0), Random(1))]
    assert gaps[:3] == [mean] * 3


def test_the_key_after_a_boundary_comes_later() -> None:
    model = TypingModel(100, 0, 300, 0, pause_after_boundary=70, flush_rule=FlushRule.WORD)
    steps = list(plan_typing("a, b", model, Random(1)))
    assert [gap for gap, event in steps if event.event_type is EventType.CHAR_ADD] == [100, 100, 170, 170]


def test_timestamps_are_the_sum_of_the_planned_delays() -> None:
    now_ms = 0.0
    for gap_ms, event in plan_typing(QUERY, TypingModel(debounce_ms=100, typo_rate=0.3), Random(1)):
        now_ms += gap_ms
        assert gap_ms >= 0
        assert event.timestamp_ms == now_ms
    assert now_ms > 1_000


async def test_the_simulator_waits_as_long_as_its_timestamps_say() -> None:
    clock = Clock()
    events = await typed(QUERY, sleep=clock.sleep)
    assert sum(clock.slept_ms) == pytest.approx(events[-1].timestamp_ms)
    assert events[-1].timestamp_ms == events[-2].timestamp_ms > 1_000


@pytest.mark.parametrize("flush_rule", FlushRule)
async def test_a_seed_makes_a_run_repeatable_to_the_timestamp(flush_rule: FlushRule) -> None:
    options = {"typo_rate": 0.2, "debounce_ms": 160, "flush_rule": flush_rule}
    assert await typed(QUERY, seed=7, **options) == await typed(QUERY, seed=7, **options)
    assert await typed(QUERY, seed=7, **options) != await typed(QUERY, seed=8, **options)


async def test_a_seeded_simulator_types_the_same_text_the_same_way_twice() -> None:
    simulator = simulator_with(typo_rate=0.2)
    await simulator.simulate_typing(QUERY)
    first = drain(simulator.queue)
    await simulator.simulate_typing(QUERY)
    assert drain(simulator.queue) == first


async def test_without_a_seed_runs_differ() -> None:
    assert await typed(QUERY, seed=None) != await typed(QUERY, seed=None)


# FlushRule.DEBOUNCE


def steady(gap_ms: float, debounce_ms: float) -> TypingModel:
    return TypingModel(gap_ms, 0, debounce_ms, typo_rate=0, pause_after_boundary=0)


def test_a_steady_typist_under_the_notebooks_debounce_flushes_once_at_the_very_end() -> None:
    events = plan(QUERY, steady(150, 300))
    assert confirmed_by_flushes(events) == ["Show me all "]
    flush, submit = events[-2:]
    assert (flush.event_type, submit.event_type) == (EventType.FLUSH, EventType.SUBMIT)
    assert submit.timestamp_ms == flush.timestamp_ms == 150 * len(QUERY) + 300


@pytest.mark.parametrize(("debounce_ms", "flushes"), [(149, 3), (150, 1), (151, 1)])
def test_only_a_gap_longer_than_the_debounce_flushes(debounce_ms: float, flushes: int) -> None:
    assert len(confirmed_by_flushes(plan(QUERY, steady(150, debounce_ms)))) == flushes


def test_a_debounce_flush_falls_into_the_gap_and_does_not_lengthen_it() -> None:
    steps = [
        (gap, event.event_type, event.timestamp_ms) for gap, event in plan_typing("a b", steady(150, 100), Random(1))
    ]
    assert steps == [
        (150, EventType.CHAR_ADD, 150),
        (150, EventType.CHAR_ADD, 300),
        (100, EventType.FLUSH, 400),
        (50, EventType.CHAR_ADD, 450),
        (100, EventType.SUBMIT, 550),
    ]


def test_a_long_gap_within_a_word_flushes_nothing() -> None:
    assert confirmed_by_flushes(plan("patients", steady(500, 100))) == []


# FlushRule.WORD


def test_the_word_rule_flushes_at_every_boundary_at_once() -> None:
    model = TypingModel(typo_rate=0.2, debounce_ms=0, flush_rule=FlushRule.WORD)
    events = plan("Show me, please", model)
    assert confirmed_by_flushes(events) == ["Show ", "Show me,", "Show me, "]
    for before, flush in pairwise(events):
        if flush.event_type is EventType.FLUSH:
            assert before.char in CONFIRMATION_BOUNDARIES
            assert before.timestamp_ms == flush.timestamp_ms


@pytest.mark.parametrize("text", [*THAI, MYANMAR, "显示所有病人", "患者を表示"])
def test_the_word_rule_flushes_at_every_key_of_a_script_without_spaces(text: str) -> None:
    flushes = confirmed_by_flushes(plan(text, TypingModel(typo_rate=0, flush_rule=FlushRule.WORD)))
    assert flushes == [text[: end + 1] for end in range(len(text))]


def test_the_word_rule_flushes_the_older_part_of_an_unbroken_run() -> None:
    flushes = confirmed_by_flushes(plan(f"decode {HEX}", TypingModel(typo_rate=0, flush_rule=FlushRule.WORD)))
    lengths = [len(flush) for flush in flushes]
    assert lengths == [7, *range(11, len(HEX) + 7 - 3, 4)]


@given(st.text(max_size=40) | st.text(alphabet="ab .ท한", max_size=40), st.floats(0, 1), st.integers())
def test_under_the_word_rule_little_lies_behind_the_confirmed_text(text: str, typo_rate: float, seed: int) -> None:
    model = TypingModel(typo_rate=typo_rate, flush_rule=FlushRule.WORD)
    *keys, _ = plan(text, model, seed)
    after_flush = [event for event, after in pairwise(keys) if after.event_type is not EventType.FLUSH]
    for event in [*after_flush, *keys[-1:]]:
        assert len(event.current_text) - len(event.confirmed_text) < 8


def test_under_the_word_rule_enter_is_one_more_key_and_waits_for_no_debounce() -> None:
    model = TypingModel(100, 0, 10_000, typo_rate=0, flush_rule=FlushRule.WORD)
    assert plan("ab", model)[-1].timestamp_ms == 300


# Running


async def test_on_event_is_awaited_for_every_event_in_order() -> None:
    seen: list[KeystrokeEvent] = []

    async def on_event(event: KeystrokeEvent) -> None:
        seen.append(event)

    simulator = simulator_with(flush_rule=FlushRule.WORD)
    await simulator.simulate_typing(QUERY, on_event=on_event)
    assert seen == drain(simulator.queue)
    assert {event.event_type for event in seen} >= {EventType.CHAR_ADD, EventType.FLUSH, EventType.END}


async def test_the_session_follows_the_events() -> None:
    simulator = simulator_with()

    async def on_event(event: KeystrokeEvent) -> None:
        assert simulator.session.current_text == event.current_text
        assert simulator.session.confirmed_text == event.confirmed_text

    await simulator.simulate_typing(QUERY, on_event=on_event)
    assert simulator.session.total_events == simulator.queue.qsize() > len(QUERY)


async def test_stop_ends_the_run_before_its_next_event_without_submitting() -> None:
    simulator = simulator_with(typo_rate=0)

    async def stop_after_two_words(event: KeystrokeEvent) -> None:
        if event.current_text == "Show me":
            simulator.stop()

    await simulator.simulate_typing(QUERY, on_event=stop_after_two_words)
    events = drain(simulator.queue)
    assert [event.event_type for event in events] == [EventType.CHAR_ADD] * 7 + [EventType.END]
    assert events[-1].timestamp_ms == events[-2].timestamp_ms


async def test_stop_while_waiting_for_the_next_key_types_it_no_more() -> None:
    async def sleep(seconds: float) -> None:
        if simulator.session.current_text == "Sh":
            simulator.stop()

    simulator = simulator_with(typo_rate=0, sleep=sleep)
    await simulator.simulate_typing(QUERY)
    assert drain(simulator.queue)[-1].current_text == "Sh"


async def test_a_stopped_simulator_can_type_again_from_an_empty_draft() -> None:
    simulator = simulator_with()
    simulator.stop()
    await simulator.simulate_typing("Hi")
    assert simulator.session.current_text == "Hi"


async def test_a_full_queue_holds_the_typist_back() -> None:
    simulator = KeystrokeSimulator(asyncio.Queue(maxsize=1), sleep=Clock().sleep, typo_rate=0)
    typing = asyncio.create_task(simulator.simulate_typing("Hi"))
    for _ in range(20):
        await asyncio.sleep(0)
    assert simulator.queue.qsize() == 1
    events = [await simulator.queue.get() for _ in range(4)]
    await typing
    assert [event.event_type.name for event in events] == ["CHAR_ADD", "CHAR_ADD", "SUBMIT", "END"]


def test_values_out_of_range_are_refused_when_the_simulator_is_made() -> None:
    with pytest.raises(ValueError, match="typo_rate is 2"):
        KeystrokeSimulator(new_queue(), typo_rate=2)


async def test_simulate_typing_returns_the_session_as_it_ended() -> None:
    queue = new_queue()
    session = await simulate_typing(QUERY, queue, sleep=Clock().sleep, typo_rate=0)
    assert session.current_text == session.confirmed_text == QUERY
    assert session.total_events == queue.qsize()


async def test_simulate_from_file_types_the_file_without_comments(tmp_path: Path) -> None:
    file = tmp_path / "query.txt"
    file.write_text("# a comment\n\nShow café #1\nto me\n#another\n", encoding="utf-8")
    session = await simulate_from_file(file, new_queue(), sleep=Clock().sleep)
    assert session.current_text == "Show café #1\nto me"
