"""vLLM servers and routers over their OpenAI-compatible HTTP API."""

from .remote import RemoteEngine, connect

__all__ = ["RemoteEngine", "connect"]
