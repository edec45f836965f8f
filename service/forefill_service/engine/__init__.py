"""What runs the model: one seam (`Engine`), vLLM behind it (`EmbeddedEngine`, `RemoteEngine`), a public fake."""

from .base import Engine, EngineInfo, EngineLoad, Output, Priority, Request, warm
from .embedded import EmbeddedEngine
from .fake import FakeChat, FakeEngine, FakeFaults, FakeSpeed
from .remote import RemoteEngine, connect
from .self_test import warming_inert_reason
from .steps import Step, StepModel

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
    "RemoteEngine",
    "Request",
    "Step",
    "StepModel",
    "connect",
    "warm",
    "warming_inert_reason",
]
