"""A simulated user, who puts keys with human timing on a queue, and consumers that read them.

    queue = asyncio.Queue()
    simulator = KeystrokeSimulator(queue, seed=1, flush_rule=FlushRule.WORD)
    consumer = InferenceConsumer(queue, session)
    await asyncio.gather(simulator.simulate_typing("Show me all patients"), consumer.run())
    print(consumer.answer, consumer.report)

This is a compatibility module for the notebook that forefill grew out of: the names of its `src.events` and
`src.keystroke_simulator` are here, so that its cells run with only their imports changed. The command line and the
benchmarks use the typing model, the plan, the simulator, InferenceConsumer and the samples; the rest, such as
LoggingConsumer, single keys by hand and `simulate_from_file`, is kept for the notebook alone.

It needs nothing but the standard library.
"""

from ..field_docs import show_field_docs
from .boundaries import CONFIRMATION_BOUNDARIES, find_last_boundary, get_confirmable_text
from .consumers import DraftAnswer, DraftSession, EventConsumer, InferenceConsumer, LoggingConsumer
from .events import EventType, KeystrokeEvent, StreamingSession
from .plan import plan_typing
from .samples import SAMPLE_QUERIES, SAMPLE_SCHEMA, sample_queries_path
from .simulator import KeystrokeSimulator, simulate_from_file, simulate_typing
from .typing_model import FlushRule, TypingModel

__all__ = [
    "CONFIRMATION_BOUNDARIES",
    "SAMPLE_QUERIES",
    "SAMPLE_SCHEMA",
    "DraftAnswer",
    "DraftSession",
    "EventConsumer",
    "EventType",
    "FlushRule",
    "InferenceConsumer",
    "KeystrokeEvent",
    "KeystrokeSimulator",
    "LoggingConsumer",
    "StreamingSession",
    "TypingModel",
    "find_last_boundary",
    "get_confirmable_text",
    "plan_typing",
    "sample_queries_path",
    "simulate_from_file",
    "simulate_typing",
]

show_field_docs(map(globals().get, __all__))
