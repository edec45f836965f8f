"""vLLM embedded in this process's charge."""

from .embedded import EmbeddedEngine

__all__ = ["EmbeddedEngine"]
