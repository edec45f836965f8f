"""The engine that runs the model: the seam (`Engine`) and a public fake; vLLM is in `engine.vllm` and `engine.http`."""

from ..chat.generation import Output
from .base import ChatEndpoint, ChatRequest, Engine, EngineInfo, EngineLoad, Priority, Request, warm
from .fake import FakeChat, FakeChatEndpoint, FakeEngine, FakeFaults, FakeSpeed, FakeSplitter

__all__ = [
    "ChatEndpoint",
    "ChatRequest",
    "Engine",
    "EngineInfo",
    "EngineLoad",
    "FakeChat",
    "FakeChatEndpoint",
    "FakeEngine",
    "FakeFaults",
    "FakeSpeed",
    "FakeSplitter",
    "Output",
    "Priority",
    "Request",
    "warm",
]
