"""A chat with a server, without a screen: what the user reads, and waits until something holds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from forefill_chat.terminal.chat import Chat
from forefill_chat.terminal.chat_state import ChatState
from forefill_client import AsyncClient, Resume

QUICKLY = Resume(seconds=30, first_delay_seconds=0.01, longest_delay_seconds=0.05)
WAIT_SECONDS = 30


class OpenChat:
    """A chat whose session is kept open."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.said: list[str] = []
        self.restored: list[str] = []
        self._changed = asyncio.Event()
        chat.changed, chat.say, chat.restore = self._changed.set, self._hear, self._take_back

    @property
    def state(self) -> ChatState:
        return self.chat.state

    def type(self, text: str) -> None:
        """Type at the end of the draft, key by key."""
        for char in text:
            self.chat.edit(self.state.draft + char)

    async def ask(self, text: str) -> None:
        """Ask, and wait for the whole answer."""
        assert self.chat.submit(text)
        await self.until(lambda state: not state.running)

    async def until(self, holds: Callable[[ChatState], object]) -> None:
        async with asyncio.timeout(WAIT_SECONDS):
            while not holds(self.state):
                self._changed.clear()
                await self._changed.wait()

    def _hear(self, words: str) -> None:
        self.said.append(words)
        self._changed.set()

    def _take_back(self, text: str) -> None:
        self.restored.append(text)
        self._changed.set()


@asynccontextmanager
async def chatting(
    address: str, *, resume: Resume | None = QUICKLY, connect_seconds: float = 10, **options: Any
) -> AsyncIterator[OpenChat]:
    """Chat with a server for the time of the block."""
    async with AsyncClient.connect(address, resume=resume, connect_timeout_seconds=connect_seconds) as client:
        chat = Chat(client, **options)
        opened = asyncio.Event()
        running = asyncio.create_task(chat.run(opened.set))
        try:
            waiting = asyncio.create_task(opened.wait())
            await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if running.done():
                running.result()
            yield OpenChat(chat)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
