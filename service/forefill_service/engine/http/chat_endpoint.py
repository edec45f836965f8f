"""The chat endpoint of a server: the authority for ids, and the one to answer if the fast path does not agree."""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from ...errors import EngineBusy, EngineError, EngineRefused, EngineUnreachable, Reason
from .chat_ids import refusal
from .required_calls import RequiredCalls

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from ...chat.generation import Output, Sampling
    from ...chat.messages import Conversation
    from ..base import ChatRequest
    from .client import ServerClient
    from .monitor import ServerMonitor


class RemoteChatEndpoint:
    """The `ChatEndpoint` of a server; `seconds` is the limit for its answers to `check`."""

    in_process = False

    def __init__(self, client: ServerClient, monitor: ServerMonitor, seconds: float) -> None:
        self._client = client
        self._monitor = monitor
        self._calls = RequiredCalls(client, monitor, seconds)

    async def ids(self, conversation: Conversation) -> list[int] | None:
        """Return the ids that the server would generate from; None if it does not say.

        Raises Refusal (TEMPLATE_REFUSED with the template's reason if it is known, PROMPT_TOO_LONG), EngineError.
        """
        self._require_up()
        with self._monitor.doubting():
            return await self._client.chat_ids.of(conversation)

    async def generate(self, request: ChatRequest) -> AsyncGenerator[Output, None]:
        """Have the server answer a conversation.

        The parts of its answer come apart as the server splits them: by its `--reasoning-parser` and
        `--tool-call-parser`, and always in Harmony.
        """
        self._require_up()
        try:
            async with aclosing(self._monitor.watched(self._client.chat_outputs(request))) as outputs:
                async for output in outputs:
                    yield output
        except EngineBusy:
            raise
        except EngineRefused as refused:
            await self._raise_refusal(request.conversation, refused)
            raise

    def splitter(self, conversation: Conversation, prompt_ids: Sequence[int]) -> None:
        """Return None: only the server has its parsers, and an answer to ids comes as the model wrote it."""

    def adjusted(self, conversation: Conversation, sampling: Sampling) -> Sampling:
        """Return the sampling as it is: what the server needs for its parsers it adjusts itself."""
        return sampling

    def splits(self, conversation: Conversation) -> bool:
        """Return whether the server itself answers, and so splits the answer."""
        return self.answers_itself(conversation)

    def answers_itself(self, conversation: Conversation) -> bool:
        """Return whether the server does more for its own answer than for one to the same ids.

        Its parsers take that apart, and if it has to call a tool, the server makes a structure of that.
        """
        return conversation.requires_a_call or self._client.parsers.split(conversation)

    async def check(self, conversation: Conversation) -> None:
        """Have the server answer with one token, if it has to call a tool: it says what it cannot require."""
        if conversation.requires_a_call:
            self._require_up()
            await self._calls.check(conversation)

    def forget(self) -> None:
        """Forget what `check` has found: the server has started again, and may have other flags."""
        self._calls.forget()

    def _require_up(self) -> None:
        if not self._monitor.pulse.up:
            raise EngineUnreachable(f"{self._client.name} is down")

    async def _raise_refusal(self, conversation: Conversation, refused: EngineRefused) -> None:
        """Raise a Refusal if the conversation is what the server refused, and not how to answer it."""
        if (of_words := refusal(refused)).reason is Reason.PROMPT_TOO_LONG:
            raise of_words from refused
        with suppress(EngineError):
            await self._client.chat_ids.of(conversation)
