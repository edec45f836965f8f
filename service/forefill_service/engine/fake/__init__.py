"""A public, deterministic engine without a model, for tests and trials."""

from .chat import FakeChat
from .chat_endpoint import FakeChatEndpoint
from .engine import FakeEngine
from .faults import FakeFaults
from .scheduler import FakeSpeed, Job, Scheduler
from .splitter import FakeSplitter

__all__ = ["FakeChat", "FakeChatEndpoint", "FakeEngine", "FakeFaults", "FakeSpeed", "FakeSplitter", "Job", "Scheduler"]
