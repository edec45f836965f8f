"""A public, deterministic engine without a model, for tests and trials."""

from .chat import FakeChat
from .chat_endpoint import FakeChatEndpoint
from .engine import FakeEngine
from .faults import FakeFaults
from .scheduler import FakeSpeed, Job, Scheduler

__all__ = ["FakeChat", "FakeChatEndpoint", "FakeEngine", "FakeFaults", "FakeSpeed", "Job", "Scheduler"]
