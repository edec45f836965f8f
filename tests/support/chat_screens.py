"""The chat on a screen without a terminal: its keys, and what is on the screen, as text and with the draft's styles."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from forefill_chat.terminal.app import ChatApp
from forefill_chat.terminal.chat import Chat
from forefill_chat.terminal.chat_state import ChatState
from forefill_chat.terminal.draft_box import DraftBox
from forefill_client import AsyncClient
from rich.style import Style
from textual.pilot import Pilot

from tests.support.chats import WAIT_SECONDS, chatting

SIZE = (120, 32)
_KEYS = {" ": "space", "?": "question_mark", ".": "full_stop", ",": "comma"}


class ScreenOfChat:
    """What a person at the screen does and sees."""

    def __init__(self, app: ChatApp, chat: Chat, pilot: Pilot[None]) -> None:
        self.app, self.chat, self.pilot = app, chat, pilot

    @property
    def state(self) -> ChatState:
        return self.chat.state

    @property
    def box(self) -> DraftBox:
        return self.app.chat_screen.query_one(DraftBox)

    async def type(self, text: str) -> None:
        await self.pilot.press(*(_KEYS.get(char, char) for char in text))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something holds of the chat or its screen."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not holds():
                    await self.pilot.pause(0.01)
        except TimeoutError:
            raise AssertionError(f"it did not happen; on the screen:\n{self.text()}") from None

    async def shows(self, text: str) -> None:
        """Wait until the screen has this text."""
        await self.until(lambda: text in self.text())

    def text(self) -> str:
        """Return what is on the screen, row by row, without space at the ends."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    def draft_styles(self) -> list[tuple[str, str]]:
        """Return the parts of the draft's first line, each with its colour and its attributes."""
        left = len(self.box.document.get_line(0))
        runs: list[tuple[str, str]] = []
        for segment in self.box.render_line(0):
            text, left = segment.text[:left], max(left - len(segment.text), 0)
            if text:
                runs.append((text, _look(segment.style)))
        return runs


def _look(style: Style | None) -> str:
    if style is None:
        return ""
    attributes = [name for name in ("bold", "underline", "italic", "reverse") if getattr(style, name)]
    return " ".join([style.color.name if style.color is not None else "", *attributes])


@asynccontextmanager
async def on_screen(
    address: str, *, size: tuple[int, int] = SIZE, app_options: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[ScreenOfChat]:
    """Chat with a server on a screen of this size for the time of the block."""
    async with chatting(address, **options) as chat, _shown(chat.chat, size, app_options or {}) as screen:
        yield screen


@asynccontextmanager
async def still_screen(
    state: ChatState, *, size: tuple[int, int] = SIZE, **app_options: Any
) -> AsyncIterator[ScreenOfChat]:
    """Show a state, without a server."""
    client = AsyncClient.connect("127.0.0.1:1")  # it connects when a session is opened, and none is
    try:
        chat = Chat(client)
        chat.state = state
        async with _shown(chat, size, app_options) as screen:
            yield screen
    finally:
        await client.close()


@asynccontextmanager
async def _shown(chat: Chat, size: tuple[int, int], options: dict[str, Any]) -> AsyncIterator[ScreenOfChat]:
    app = ChatApp(chat, **options)
    async with app.run_test(size=size) as pilot:
        screen = ScreenOfChat(app, chat, pilot)
        await screen.until(lambda: app.screen is app.chat_screen and app.chat_screen.is_mounted)
        yield screen
