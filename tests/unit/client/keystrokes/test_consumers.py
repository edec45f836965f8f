"""What reads the queue, and above all the consumer that drives a session."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from forefill_client.keystrokes import (
    EventConsumer,
    EventType,
    FlushRule,
    InferenceConsumer,
    KeystrokeEvent,
    KeystrokeSimulator,
    LoggingConsumer,
)

END = KeystrokeEvent(EventType.END)


def queue_of(*events: KeystrokeEvent, maxsize: int = 0) -> asyncio.Queue[KeystrokeEvent]:
    queue: asyncio.Queue[KeystrokeEvent] = asyncio.Queue(maxsize)
    for event in events:
        queue.put_nowait(event)
    return queue


def key(char: str) -> KeystrokeEvent:
    return KeystrokeEvent(EventType.CHAR_ADD, char)


class Failing(LoggingConsumer):
    async def handle_event(self, event: KeystrokeEvent) -> None:
        await super().handle_event(event)
        raise ConnectionError("gone")


# EventConsumer


async def test_a_consumer_handles_events_in_order_until_end() -> None:
    queue = queue_of(key("a"), key("b"), END, key("c"))
    consumer = LoggingConsumer(queue, verbose=False)
    await consumer.run()
    assert consumer.events == [key("a"), key("b"), END]
    assert queue.get_nowait() == key("c")


async def test_a_consumer_can_run_again_for_the_next_text() -> None:
    queue = queue_of(END, key("a"), END)
    consumer = LoggingConsumer(queue, verbose=False)
    await consumer.run()
    await consumer.run()
    assert consumer.events == [END, key("a"), END]


async def test_the_base_consumer_asks_to_be_overridden() -> None:
    with pytest.raises(NotImplementedError, match="override handle_event"):
        await EventConsumer(queue_of(key("a"))).run()


async def test_stop_ends_a_consumer_that_waits_for_an_event() -> None:
    consumer = LoggingConsumer(queue_of(), verbose=False)
    running = asyncio.create_task(consumer.run())
    await asyncio.sleep(0)
    consumer.stop()
    await running
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_stop_from_the_handler_leaves_later_events_on_the_queue() -> None:
    class StopsAtOnce(LoggingConsumer):
        async def handle_event(self, event: KeystrokeEvent) -> None:
            await super().handle_event(event)
            self.stop()

    queue = queue_of(key("a"), key("b"), END)
    consumer = StopsAtOnce(queue, verbose=False)
    await consumer.run()
    assert consumer.events == [key("a")]
    assert queue.qsize() == 2


async def test_a_cancelled_run_is_cancelled_and_loses_no_event() -> None:
    queue = queue_of()
    consumer = LoggingConsumer(queue, verbose=False)
    running = asyncio.create_task(consumer.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    queue.put_nowait(END)
    await consumer.run()
    assert consumer.events == [END]


async def test_on_an_unbounded_queue_a_handlers_exception_is_raised_at_once() -> None:
    queue = queue_of(key("a"), key("b"))
    consumer = Failing(queue, verbose=False)
    with pytest.raises(ConnectionError, match="gone"):
        await consumer.run()
    assert queue.qsize() == 1


async def test_on_a_bounded_queue_a_failed_consumer_lets_the_producer_finish() -> None:
    queue = queue_of(maxsize=1)
    simulator = KeystrokeSimulator(queue, sleep=asyncio.sleep, mean_delay_ms=0, std_delay_ms=0, debounce_ms=0)
    consumer = Failing(queue, verbose=False)
    typing = asyncio.create_task(simulator.simulate_typing("Hi"))
    with pytest.raises(ConnectionError, match="gone"):
        await consumer.run()
    await typing
    await queue.join()
    assert len(consumer.events) == 1
    assert queue.empty()


async def test_a_handler_that_fails_on_end_waits_for_no_other_end() -> None:
    with pytest.raises(ConnectionError, match="gone"):
        await Failing(queue_of(END, maxsize=5), verbose=False).run()


async def test_the_log_prints_time_event_text_and_what_is_confirmed(capsys: pytest.CaptureFixture[str]) -> None:
    typed = KeystrokeEvent(EventType.CHAR_ADD, "m", 1234.56, "Show m", "Show ")
    await LoggingConsumer(queue_of(typed, END)).run()
    assert capsys.readouterr().out.splitlines() == [
        "   1234.6 ms  CHAR_ADD 'm'    'Show m', confirmed 5",
        "      0.0 ms  END             '', confirmed 0",
    ]


async def test_a_quiet_log_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    await LoggingConsumer(queue_of(key("a"), END), verbose=False).run()
    assert capsys.readouterr().out == ""


# InferenceConsumer


class RecordingAnswer:
    def __init__(self, session: "RecordingSession") -> None:
        self._session = session
        self._read = False

    async def __aiter__(self) -> AsyncIterator[str]:
        for delta in ["SELECT ", "1"]:
            yield delta
        self._read = True
        self._session.calls.append("answered")

    @property
    def report(self) -> int:
        if not self._read:
            raise RuntimeError("read the answer first")
        return 42


class RecordingSession:
    """A session that keeps the calls made on it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    async def type(self, text: str) -> None:
        self.calls.append(f"type {text!r}")

    async def delete(self, count: int = 1) -> None:
        self.calls.append(f"delete {count}")

    async def flush(self, confirmed: int | None = None) -> int:
        self.calls.append(f"flush {confirmed}")
        return len(self.calls)

    async def submit(self, text: str | None = None) -> RecordingAnswer:
        self.calls.append(f"submit {text!r}")
        return RecordingAnswer(self)

    async def end(self) -> None:
        self.calls.append("end")


async def test_each_event_becomes_the_call_that_it_stands_for() -> None:
    session = RecordingSession()
    queue = queue_of(
        KeystrokeEvent(EventType.CHAR_ADD, "é"),
        KeystrokeEvent(EventType.CHAR_DELETE),
        KeystrokeEvent(EventType.FLUSH, current_text="Show me", confirmed_text="Show "),
        KeystrokeEvent(EventType.SUBMIT, current_text="Show me", confirmed_text="Show me"),
        END,
    )
    await InferenceConsumer(queue, session).run()
    assert session.calls == ["type 'é'", "delete 1", "flush 5", "submit 'Show me'", "answered", "end"]


async def test_the_answer_is_collected_and_its_report_read_after_its_end() -> None:
    deltas: list[str] = []
    submit = KeystrokeEvent(EventType.SUBMIT, current_text="Hi")
    consumer = InferenceConsumer(queue_of(submit, END), RecordingSession(), on_delta=deltas.append)
    assert (consumer.answer, consumer.report) == ("", None)
    await consumer.run()
    assert deltas == ["SELECT ", "1"]
    assert (consumer.answer, consumer.report) == ("SELECT 1", 42)


async def test_a_second_submit_replaces_the_first_answer() -> None:
    submit = KeystrokeEvent(EventType.SUBMIT, current_text="Hi")
    consumer = InferenceConsumer(queue_of(submit, submit, END), RecordingSession())
    await consumer.run()
    assert consumer.answer == "SELECT 1"


async def test_on_flush_gets_the_event_and_the_number_of_its_flush() -> None:
    flushes: list[tuple[KeystrokeEvent, int]] = []
    flush = KeystrokeEvent(EventType.FLUSH, current_text="Show me", confirmed_text="Show ")
    queue = queue_of(key("S"), flush, END)
    await InferenceConsumer(queue, RecordingSession(), on_flush=lambda *of: flushes.append(of)).run()
    assert flushes == [(flush, 2)]


async def test_a_simulated_user_drives_a_session_to_the_typed_text() -> None:
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    session = RecordingSession()
    queue = queue_of()
    simulator = KeystrokeSimulator(queue, typo_rate=0.3, seed=4, flush_rule=FlushRule.WORD, sleep=sleep)
    consumer = InferenceConsumer(queue, session)
    await asyncio.gather(simulator.simulate_typing("Show me all"), consumer.run())
    assert [call for call in session.calls if call.startswith("flush")] == ["flush 5", "flush 8"]
    assert session.calls.count("delete 1") == sum(call.startswith("type") for call in session.calls) - 11 > 0
    assert session.calls[-3:] == ["submit 'Show me all'", "answered", "end"]
