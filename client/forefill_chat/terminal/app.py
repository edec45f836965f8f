"""The chat's Textual app: its looks, and how it starts and ends."""

import os
from typing import Final

from textual.app import App

from .chat import Chat
from .chat_screen import ChatScreen
from .key_sequences import know_alt_enter
from .replaying import Replay
from .themes import DARK, THEMES, next_theme

WIDE_COLUMNS: Final = 90
LOW_ROWS: Final = 18
NOTHING: Final = Replay()


class ChatApp(App[None]):
    """An app with one screen. It does not keep the chat running: `Chat.run` belongs to its caller."""

    TITLE = "forefill chat"
    CSS_PATH = "chat.tcss"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE_COLUMNS, "-wide")]  # noqa: RUF012 (Textual declares them so)
    VERTICAL_BREAKPOINTS = [(0, "-low"), (LOW_ROWS, "-high")]  # noqa: RUF012

    def __init__(self, chat: Chat, *, theme: str = DARK.name, replayed: Replay = NOTHING) -> None:
        know_alt_enter()
        # Without colours, attributes are all that is left: Textual would make greys of them, unless told so here.
        super().__init__(ansi_color=True if os.environ.get("NO_COLOR") else None)
        for each in THEMES:
            self.register_theme(each)
        self.theme = theme
        self.chat_screen = ChatScreen(chat, replayed)

    def on_mount(self) -> None:
        self.push_screen(self.chat_screen)

    def action_next_theme(self) -> None:
        """Take the next colours."""
        self.theme = next_theme(self.theme)
