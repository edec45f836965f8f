"""A simulated user for anything that warms while one types: keys with human timing on a queue, and what reads them.

    queue = asyncio.Queue()
    simulator = KeystrokeSimulator(queue, seed=1, flush_rule=FlushRule.WORD)
    consumer = InferenceConsumer(queue, session)
    await asyncio.gather(simulator.simulate_typing("Show me all patients"), consumer.run())
    print(consumer.answer, consumer.report)

It needs the standard library alone.
"""

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
