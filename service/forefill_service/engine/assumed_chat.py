"""A chat endpoint that is assumed to make the ids of the fast path."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from ..chat.generation import Output
from ..chat.messages import Conversation
from .base import ChatRequest, Engine, Request


class AssumedChat:
    """A `ChatEndpoint` that renders with the engine's own `Chat`: it always agrees with it."""

    in_process = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ids(self, conversation: Conversation) -> list[int]:
        """Return the ids of a conversation."""
        chat = self._engine.chat
        return chat.encode(chat.render(conversation.messages, conversation.template_kwargs))

    async def generate(self, request: ChatRequest) -> AsyncGenerator[Output, None]:
        """Answer a conversation."""
        ids = await self.ids(request.conversation)
        asked = Request(ids, request.sampling, request.priority, request.cache_salt, request.route)
        first = True
        async with aclosing(self._engine.generate(asked)) as outputs:
            async for output in outputs:
                yield replace(output, prompt_ids=tuple(ids)) if first else output
                first = False
