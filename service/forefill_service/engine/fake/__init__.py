"""A public, deterministic engine without a model, for tests and trials."""

from .chat import FakeChat
from .engine import FakeEngine
from .faults import FakeFaults
from .scheduler import FakeSpeed, Job, Scheduler

__all__ = ["FakeChat", "FakeEngine", "FakeFaults", "FakeSpeed", "Job", "Scheduler"]
