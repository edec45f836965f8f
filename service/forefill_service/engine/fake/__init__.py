"""A public, deterministic engine without a model, for tests and trials."""

from .engine import FakeChat, FakeEngine, FakeFaults, FakeSpeed, Job, Scheduler

__all__ = ["FakeChat", "FakeEngine", "FakeFaults", "FakeSpeed", "Job", "Scheduler"]
