"""Whether a server can require the calls of tools that a session asks for, asked when the session opens.

vLLM refuses that if it was started without a parser of calls, or cannot make a structure of the tools' parameters. So
its chat endpoint is asked for one token with the session's own tools. If it answers the same question without the
requirement, the requirement is what it refused; else it is something that SUBMIT will find out.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from ...chat.openai_form import chat_fields
from ...errors import EngineBusy, EngineRefused, EngineSlow, Reason, Refusal
from ..accepted import Recent
from ..base import ONE_TOKEN, ChatRequest, Priority
from ..probes import RENDERING_PROBE

if TYPE_CHECKING:
    from ...chat.messages import Conversation
    from .client import ServerClient
    from .monitor import ServerMonitor


class RequiredCalls:
    """Asks one server; `seconds` is the limit for all of its answers to one session."""

    def __init__(self, client: ServerClient, monitor: ServerMonitor, seconds: float) -> None:
        self._client = client
        self._monitor = monitor
        self._seconds = seconds
        self._accepted = Recent()

    def forget(self) -> None:
        """Forget what the server has said: it has started again, and may have other flags."""
        self._accepted.clear()

    async def check(self, conversation: Conversation) -> None:
        """Raise Refusal (INVALID_TOOLS) if it cannot require these calls, EngineError if it does not say."""
        asked = replace(conversation, messages=(RENDERING_PROBE,), continue_final_message=False)
        fields = chat_fields(asked)
        key = json.dumps([fields["tools"], fields["tool_choice"], asked.parallel_tool_calls])
        if self._accepted.has(key):
            return
        try:
            async with asyncio.timeout(self._seconds):
                refused = await self._refused(asked)
                if refused is not None and await self._refused(replace(asked, tool_choice="none")) is None:
                    raise Refusal(Reason.INVALID_TOOLS, f"tool_choice requires a call: {refused}") from refused
        except TimeoutError:
            raise EngineSlow(f"{self._client.name} did not answer within {self._seconds:g} s") from None
        if refused is None:
            self._accepted.add(key)

    async def _refused(self, asked: Conversation) -> EngineRefused | None:
        """Return why the server does not answer; None if it does. Raises EngineError if it does not say."""
        request = ChatRequest(asked, ONE_TOKEN, Priority.GENERATION)
        try:
            async with aclosing(self._monitor.watched(self._client.chat_outputs(request))) as outputs:
                async for _ in outputs:
                    pass
        except EngineBusy:
            raise
        except EngineRefused as refused:
            return refused
        return None
