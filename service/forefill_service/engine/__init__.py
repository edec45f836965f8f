"""What runs the model: one seam (`Engine`), vLLM behind it (`EmbeddedEngine`), and a public fake (`FakeEngine`)."""

from .base import Engine, EngineInfo, EngineLoad, Output, Priority, Request, warm
from .embedded import EmbeddedEngine
from .fake import FakeChat, FakeEngine, FakeFaults, FakeSpeed
from .self_test import warming_inert_reason

__all__ = [
    "EmbeddedEngine",
    "Engine",
    "EngineInfo",
    "EngineLoad",
    "FakeChat",
    "FakeEngine",
    "FakeFaults",
    "FakeSpeed",
    "Output",
    "Priority",
    "Request",
    "warm",
    "warming_inert_reason",
]
