"""Traces, done again: on sessions and on the queue of a consumer."""

import asyncio
import io
from random import Random
from typing import TypeVar

import pytest
from forefill_bench.sim.virtual_time import run_at_virtual_time
from forefill_client import AsyncClient
from forefill_client.draft import Draft
from forefill_client.keystrokes import (
    TRANSCRIBING,
    EventType,
    KeystrokeEvent,
    LoggingConsumer,
    Stroke,
    StrokeKind,
    Trace,
    TraceRecorder,
    TraceWriter,
    paced,
    parse_trace,
    replay,
    replay_to_queue,
    typed_by,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.support.served import SYSTEM, served
from tests.support.traces import CONTENTS, recorded

T = TypeVar("T")


class Box:
    """A session's draft, which keeps what it held and when, in milliseconds since it was made."""

    def __init__(self, work_seconds: float = 0.0) -> None:
        self.history: list[tuple[float, str]] = []
        self.flushes: list[int | None] = []
        self.submitted: str | None = None
        self._draft = Draft()
        self._work_seconds = work_seconds
        self._began = asyncio.get_running_loop().time()

    async def type(self, text: str) -> None:
        self._draft.add(text)
        await self._changed()

    async def delete(self, count: int = 1) -> None:
        assert self._draft.delete(count) == count
        await self._changed()

    async def replace(self, start: int, end: int, text: str) -> None:
        self._draft.replace(start, end, text)
        await self._changed()

    async def flush(self, *, confirmed: int | None = None) -> int:
        self.flushes.append(confirmed)
        return len(self.flushes)

    async def submit(self, text: str | None = None) -> str:
        assert text == self._draft.text
        self.submitted = text
        await self._changed()
        return f"the answer to {text}"

    async def _changed(self) -> None:
        self.history.append(((asyncio.get_running_loop().time() - self._began) * 1000, self._draft.text))
        await asyncio.sleep(self._work_seconds)


def history_of(trace: Trace) -> list[tuple[float, str]]:
    return [(stroke.at_ms, stroke.draft) for stroke in trace if stroke.kind is not StrokeKind.FLUSH]


def written_and_read(trace: Trace) -> Trace:
    stream = io.StringIO()
    writer = TraceWriter(stream)
    for stroke in trace:
        writer.write(stroke)
    return parse_trace(stream.getvalue().split("\n"))


async def played(trace: Trace, speed: float = 1.0, *, flush: bool = True, work_seconds: float = 0.0) -> Box:
    box = Box(work_seconds)
    await replay(trace, box, speed=speed, flush=flush)
    return box


def same(one: list[tuple[float, str]], other: list[tuple[float, str]]) -> None:
    assert [draft for _, draft in one] == [draft for _, draft in other]
    assert [at_ms for at_ms, _ in one] == pytest.approx([at_ms for at_ms, _ in other], abs=1e-3)


@given(CONTENTS, st.booleans())
def test_recorded_then_replayed_gives_the_same_drafts_at_the_same_times(
    contents: list[tuple[str, float]], submit: bool
) -> None:
    trace = recorded(contents, submit=submit)
    box = run_at_virtual_time(played(written_and_read(trace)))
    same(box.history, history_of(trace))
    assert box.flushes == [stroke.confirmed for stroke in trace if stroke.kind is StrokeKind.FLUSH]
    assert box.submitted == (trace[-1].draft if submit else None)


@given(CONTENTS)
def test_what_is_recorded_of_a_replay_is_the_trace_again(contents: list[tuple[str, float]]) -> None:
    trace = recorded(contents)
    recorder = TraceRecorder()
    box = run_at_virtual_time(played(trace))
    for at_ms, draft in box.history:
        recorder.change(draft, at_ms)
    again = recorder.submit(box.history[-1][0])
    same(history_of(again), history_of(trace))


@pytest.mark.parametrize("seed", range(5))
def test_a_person_is_recorded_and_replayed(seed: int) -> None:
    trace = typed_by(TRANSCRIBING.typist(Random(seed)), "Show me all patients of ward 3", Random(seed))
    same(run_at_virtual_time(played(written_and_read(trace))).history, history_of(trace))


TRACE = recorded([("Show ", 0), ("Show me", 1000), ("Sho me", 500)])


def test_it_goes_as_many_times_as_fast_as_asked() -> None:
    same(
        run_at_virtual_time(played(TRACE, speed=4.0)).history,
        [(at_ms / 4, draft) for at_ms, draft in history_of(TRACE)],
    )


def test_at_infinite_speed_nothing_is_waited_for() -> None:
    box = run_at_virtual_time(played(TRACE, speed=float("inf")))
    same(box.history, [(0.0, draft) for _, draft in history_of(TRACE)])


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
async def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="give a number above 0"):
        await played(TRACE, speed=speed)


def test_a_slow_session_delays_no_stroke_but_those_that_it_is_busy_at() -> None:
    history = run_at_virtual_time(played(TRACE, work_seconds=0.8)).history
    assert [at_ms for at_ms, _ in history] == pytest.approx([0.0, 1000.0, 1800.0, 2600.0])


def test_a_session_that_flushes_by_itself_is_not_flushed() -> None:
    assert run_at_virtual_time(played(TRACE)).flushes == [5, 4]
    assert run_at_virtual_time(played(TRACE, flush=False)).flushes == []


async def test_the_answer_is_returned_and_each_stroke_is_told_after_it_is_done() -> None:
    box, told = Box(), []

    async def on_stroke(stroke: Stroke) -> None:
        told.append(stroke)
        assert len(box.history) + len(box.flushes) == len(told)

    assert await replay(TRACE, box, speed=float("inf"), on_stroke=on_stroke) == "the answer to Sho me"
    assert tuple(told) == TRACE
    assert await replay(TRACE[:1], Box()) is None


async def test_a_trace_is_typed_at_a_real_session_and_answered() -> None:
    async with served() as server, AsyncClient.connect(server.address) as client:
        async with client.session([SYSTEM]) as expected:
            wanted = await (await expected.submit("Sho me")).text()
        async with client.session([SYSTEM], auto_flush=False) as session:
            answer = await replay(TRACE, session, speed=float("inf"))
            assert answer is not None
            assert await answer.text() == wanted
            assert answer.submitted_text == "Sho me"
            assert session.repairs == 0


# The queue


async def logged(trace: Trace) -> list[KeystrokeEvent]:
    queue: asyncio.Queue[KeystrokeEvent] = asyncio.Queue()
    consumer = LoggingConsumer(queue, verbose=False)
    await asyncio.gather(replay_to_queue(trace, queue), consumer.run())
    return consumer.events


def test_on_the_queue_a_trace_is_the_events_of_the_simulator_and_end() -> None:
    events = run_at_virtual_time(logged(TRACE))
    assert [(event.event_type.name, event.char, event.timestamp_ms) for event in events] == [
        ("CHAR_ADD", "Show ", 0.0),
        ("FLUSH", None, 0.0),
        ("CHAR_ADD", "me", 1000.0),
        *(("CHAR_DELETE", None, 1500.0) for _ in "w me"),
        ("CHAR_ADD", " me", 1500.0),
        ("FLUSH", None, 1500.0),
        ("SUBMIT", None, 1501.0),
        ("END", None, 1501.0),
    ]
    assert [event.confirmed_text for event in events if event.event_type is EventType.FLUSH] == ["Show ", "Sho "]


@given(CONTENTS)
def test_on_the_queue_every_draft_of_the_trace_comes_at_its_time(contents: list[tuple[str, float]]) -> None:
    trace = recorded(contents)
    draft, reached = "", {(0.0, "")}
    for event in run_at_virtual_time(logged(trace)):
        match event.event_type:
            case EventType.CHAR_ADD:
                draft += event.char or ""
            case EventType.CHAR_DELETE:
                draft = draft[:-1]
        assert event.current_text == draft
        assert draft.startswith(event.confirmed_text)
        reached.add((event.timestamp_ms, draft))
    assert set(history_of(trace)) <= reached


async def test_strokes_can_be_taken_one_by_one() -> None:
    assert tuple([stroke async for stroke in paced(TRACE, float("inf"))]) == TRACE
