"""The engine that runs the model: the seam (`Engine`) and a public fake; vLLM is in `engine.vllm` and `engine.http`."""

from ..chat.generation import Output
from .base import Engine, EngineInfo, EngineLoad, Priority, Request, warm
from .fake import FakeChat, FakeEngine, FakeFaults, FakeSpeed

__all__ = [
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
]
