"""Keys that a program types itself, and when they flush."""

import asyncio

import pytest
from forefill_client.keystrokes import EventType, FlushRule, KeystrokeSimulator

from tests.support.simulated_keys import confirmed_by_flushes, drain, simulator_with


class Timer:
    """Stands in for asyncio.sleep: `ring` ends all waits."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()
        self.waits_ms: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits_ms.append(seconds * 1000)
        await self.rung.wait()

    async def ring(self) -> None:
        await asyncio.sleep(0)
        self.rung.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.rung.clear()


async def type_by_hand(simulator: KeystrokeSimulator, text: str) -> None:
    for char in text:
        await simulator.type_char(char)


async def test_by_hand_a_pause_of_the_debounce_flushes_up_to_the_last_boundary() -> None:
    timer = Timer()
    simulator = simulator_with(sleep=timer.sleep, debounce_ms=250)
    await type_by_hand(simulator, "Show me")
    await timer.ring()
    events = drain(simulator.queue)
    assert confirmed_by_flushes(events) == ["Show "]
    assert timer.waits_ms == [250]


async def test_by_hand_a_key_in_time_puts_the_flush_off() -> None:
    timer = Timer()
    simulator = simulator_with(sleep=timer.sleep)
    await type_by_hand(simulator, "Show ")
    await asyncio.sleep(0)
    await type_by_hand(simulator, "me ")
    await timer.ring()
    assert len(timer.waits_ms) == 2
    assert confirmed_by_flushes(drain(simulator.queue)) == ["Show me "]


@pytest.mark.parametrize("action", ["submit", "stop"])
async def test_by_hand_submit_and_stop_cancel_the_debounce(action: str) -> None:
    timer = Timer()
    simulator = simulator_with(sleep=timer.sleep)
    await type_by_hand(simulator, "Show me")
    await asyncio.sleep(0)
    if action == "submit":
        await simulator.submit()
    else:
        simulator.stop()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert confirmed_by_flushes(drain(simulator.queue)) == []


async def test_a_simulated_run_cancels_the_debounce_of_a_key_typed_before() -> None:
    by_hand = True

    async def sleep(seconds: float) -> None:
        if by_hand:
            await asyncio.Event().wait()

    simulator = simulator_with(sleep=sleep)
    await type_by_hand(simulator, "Show ")
    await asyncio.sleep(0)
    by_hand = False
    await simulator.simulate_typing("Hi")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_by_hand_the_word_rule_flushes_at_once() -> None:
    simulator = simulator_with(flush_rule=FlushRule.WORD)
    await type_by_hand(simulator, "Show me ")
    assert confirmed_by_flushes(drain(simulator.queue)) == ["Show ", "Show me "]


async def test_deleting_confirmed_text_falls_back_to_the_boundary_before() -> None:
    simulator = simulator_with(flush_rule=FlushRule.WORD)
    await type_by_hand(simulator, "Show me ")
    drain(simulator.queue)
    await simulator.delete_char()
    (delete,) = drain(simulator.queue)
    assert (delete.event_type, delete.current_text, delete.confirmed_text) == (
        EventType.CHAR_DELETE,
        "Show me",
        "Show ",
    )


async def test_deleting_from_an_empty_draft_does_nothing() -> None:
    simulator = simulator_with()
    await simulator.delete_char()
    assert simulator.queue.empty()
    assert simulator.session.total_events == 0


async def test_submit_by_hand_confirms_the_whole_draft() -> None:
    simulator = simulator_with(flush_rule=FlushRule.WORD)
    await type_by_hand(simulator, "Show me")
    await simulator.submit()
    submit = drain(simulator.queue)[-1]
    assert (submit.event_type, submit.confirmed_text) == (EventType.SUBMIT, "Show me")


async def test_by_hand_no_key_overtakes_a_flush_that_waits_for_room() -> None:
    simulator = KeystrokeSimulator(asyncio.Queue(maxsize=1), debounce_ms=0)
    await simulator.type_char(" ")
    for _ in range(3):
        await asyncio.sleep(0)
    typing = asyncio.create_task(simulator.type_char("a"))
    events = [await simulator.queue.get() for _ in range(3)]
    await typing
    simulator.stop()
    assert [event.event_type.name for event in events] == ["CHAR_ADD", "FLUSH", "CHAR_ADD"]
