"""Simulated and recorded typists: how people type, traces of what they typed, and consumers that drive a session.

    people = transcribing_at(200.0)                     # a key every 200 ms on average
    rng = Random(1)
    trace = typed_by(people.typist(rng), "Show me all patients", rng)
    answer = await replay(trace, session)               # at a person's pace, with typos and pauses
    write_trace("patients.jsonl", trace)                # and read_trace: `trace.py` defines the format

`HumanTypingModel` is how people type, with its sources, in two kinds: TRANSCRIBING people type a text that is there
already, COMPOSING people think of it while they write. `forefill type` and the benchmarks use it. `TraceRecorder`
makes a trace of what a real text box holds.

The rest is a compatibility module for the notebook that forefill grew out of: the names of its `src.events` and
`src.keystroke_simulator` are here, so that its cells run with only their imports changed. KeystrokeSimulator puts keys
on a queue, with the gaps of a normal distribution (`TypingModel`); `replay_to_queue` does the same with any trace.

    queue = asyncio.Queue()
    simulator = KeystrokeSimulator(queue, seed=1, flush_rule=FlushRule.WORD)
    consumer = InferenceConsumer(queue, session)
    await asyncio.gather(simulator.simulate_typing("Show me all patients"), consumer.run())
    print(consumer.answer, consumer.report)

It needs no package that the client does not need anyway.
"""

from ..field_docs import show_field_docs
from .boundaries import CONFIRMATION_BOUNDARIES, find_last_boundary, get_confirmable_text
from .consumers import DraftAnswer, DraftSession, EventConsumer, InferenceConsumer, LoggingConsumer
from .events import EventType, KeystrokeEvent, StreamingSession
from .hands import as_typist_ends, typed_by
from .human import (
    COMPOSING,
    TRANSCRIBING,
    HumanTypingModel,
    InterKeyInterval,
    KeyRole,
    Typist,
    transcribing_at,
)
from .keyboard import QWERTY, Keyboard
from .plan import plan_typing
from .playback import EditedSession, TypedSession, paced, replay, replay_to_queue
from .recorder import TraceRecorder
from .samples import SAMPLE_QUERIES, SAMPLE_SCHEMA, sample_queries_path
from .simulator import KeystrokeSimulator, simulate_from_file, simulate_typing
from .strokes import Stroke, StrokeKind, Trace, stroke_of
from .trace import TraceError, TraceWriter, parse_trace, read_trace, write_trace
from .typing_model import FlushRule, TypingModel

__all__ = [
    "COMPOSING",
    "CONFIRMATION_BOUNDARIES",
    "QWERTY",
    "SAMPLE_QUERIES",
    "SAMPLE_SCHEMA",
    "TRANSCRIBING",
    "DraftAnswer",
    "DraftSession",
    "EditedSession",
    "EventConsumer",
    "EventType",
    "FlushRule",
    "HumanTypingModel",
    "InferenceConsumer",
    "InterKeyInterval",
    "KeyRole",
    "Keyboard",
    "KeystrokeEvent",
    "KeystrokeSimulator",
    "LoggingConsumer",
    "StreamingSession",
    "Stroke",
    "StrokeKind",
    "Trace",
    "TraceError",
    "TraceRecorder",
    "TraceWriter",
    "TypedSession",
    "TypingModel",
    "Typist",
    "as_typist_ends",
    "find_last_boundary",
    "get_confirmable_text",
    "paced",
    "parse_trace",
    "plan_typing",
    "read_trace",
    "replay",
    "replay_to_queue",
    "sample_queries_path",
    "simulate_from_file",
    "simulate_typing",
    "stroke_of",
    "transcribing_at",
    "typed_by",
    "write_trace",
]

show_field_docs(map(globals().get, __all__))
