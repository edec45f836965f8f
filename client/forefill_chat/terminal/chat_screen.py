"""The chat's screen: keys go to the `Chat`, and its state is drawn."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Footer, Static

from .chat import Chat
from .chat_state import Link
from .draft_box import DraftBox
from .draft_spans import in_words
from .help_screen import HelpScreen, legend
from .help_text import WELCOME
from .replaying import Keys, Replay, replay
from .safe_text import shown
from .side_bar import SideBar
from .side_bar_text import sections, status
from .stop_key import Meaning, StopKey
from .turn_view import TurnView

if TYPE_CHECKING:
    from textual.timer import Timer
    from textual.worker import Worker

REDRAW_SECONDS: Final = 0.03
"""Changes that follow each other within this time are drawn at once, which spares a slow line."""
NOTICE_SECONDS: Final = 6.0


class ChatScreen(Screen[None]):
    """The conversation above, the box below, and a side bar beside them if there is room."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1,ctrl+g", "help", "Help", key_display="F1", priority=True),
        Binding("escape", "stop", "Stop", key_display="Esc", priority=True),
        Binding("ctrl+t", "twin", "Without forefill", priority=True),
        Binding("ctrl+r", "again", "Again", priority=True),
        Binding("ctrl+p", "edit_last", "Edit last", priority=True),
        Binding("ctrl+o", "copy", "Copy", priority=True),
        Binding("f2", "side", "Side bar", key_display="F2", priority=True),
        Binding("f3", "app.next_theme", "Colours", key_display="F3", priority=True),
        Binding("ctrl+q", "app.quit", "Quit", priority=True),
        Binding("ctrl+c", "interrupt", "Stop or quit", show=False, priority=True),
        Binding("pageup", "scroll(-1)", "Scroll up", show=False, priority=True),
        Binding("pagedown", "scroll(1)", "Scroll down", show=False, priority=True),
    ]

    def __init__(self, chat: Chat, replayed: Replay) -> None:
        super().__init__()
        self._chat = chat
        self._replayed = replayed
        self._typist: Worker[None] | None = None
        self._stop_key = StopKey()
        self._kept_aside = ""
        self._notice = ""
        self._notice_timer: Timer | None = None
        self._redraw: Timer | None = None
        self._ready = asyncio.Event()
        self._entering = False

    def compose(self) -> ComposeResult:
        with Vertical(id="columns"):
            yield SideBar()
            with Vertical(id="main"):
                yield Static(id="status")
                with VerticalScroll(id="conversation", can_focus=False):
                    yield Static(Content("\n").join([Content(WELCOME), Content(""), *legend()]), id="welcome")
                yield Static(id="notice")
                yield DraftBox()
        yield Footer(show_command_palette=False, compact=True)

    async def on_mount(self) -> None:
        self._listen_to_chat()
        self._box.focus()
        self._conversation.anchor()
        await self._draw()
        if self._replayed.traces:
            self._typist = self.run_worker(self._type_replay())

    def _listen_to_chat(self) -> None:
        """Have the chat call us, as messages: its tasks are not the app's, and cannot start the app's timers."""
        self._chat.changed, self._chat.say = self._hear(self._draw_soon), self._hear(self.say)
        self._chat.restore = self._hear(self._restore)

    def _hear(self, act: Callable[..., None]) -> Callable[..., None]:
        def hear(*news: str) -> None:
            self.call_later(act, *news)

        return hear

    @property
    def _box(self) -> DraftBox:
        return self.query_one(DraftBox)

    @property
    def _conversation(self) -> VerticalScroll:
        return self.query_one("#conversation", VerticalScroll)

    # The box.

    @on(DraftBox.Changed)
    def _draft_changed(self, event: DraftBox.Changed) -> None:
        self._chat.edit(event.text)
        self._show_draft()

    @on(DraftBox.Submitted)
    def _submitted(self, event: DraftBox.Submitted) -> None:
        self._entering = False
        if self._chat.submit(event.text):
            self._empty_box(typed_since=self._box.text.removeprefix(event.text))
            self._conversation.anchor()
        self._draw_soon()

    @on(DraftBox.Recalled)
    def action_edit_last(self) -> None:
        """Take the last message into the box."""
        question = self._chat.edit_last()
        if question is not None:
            self._kept_aside = self._box.text
            self._box.fill(question)

    @on(DraftBox.Ended)
    def _ended(self) -> None:
        self.app.exit()

    @on(DraftBox.Touched)
    def _touched(self) -> None:
        """A person types: a replay would only type between their keys."""
        if self._typist is not None and self._typist.is_running:
            self._typist.cancel()
            self.say("The replay has stopped, since you have typed.")

    def _empty_box(self, typed_since: str = "") -> None:
        text, self._kept_aside = self._kept_aside, ""
        self._box.fill(typed_since or text)
        self._box.history.clear()

    def _restore(self, text: str) -> None:
        if not self._box.text:
            self._box.fill(text)

    # Keys.

    def action_help(self) -> None:
        """Show the help."""
        self.app.push_screen(HelpScreen())

    def action_stop(self) -> None:
        """Stop the answer, or end the edit of the last message."""
        if not self._chat.stop() and self._chat.put_back():
            self._empty_box()

    def action_interrupt(self) -> None:
        """Stop the answer, or quit at the second press."""
        match self._stop_key.press(time.monotonic(), answering=self._chat.state.running):
            case Meaning.STOP:
                self._chat.stop()
            case Meaning.ASK:
                self.say("Press Ctrl+C again to quit.")
            case Meaning.QUIT:
                self.app.exit()

    def action_again(self) -> None:
        """Have the last answer generated again."""
        self._chat.regenerate()

    def action_twin(self) -> None:
        """Measure the last answer's wait without forefill."""
        self._chat.measure_twin()

    def action_copy(self) -> None:
        """Copy the selection, or the last answer."""
        turn = self._chat.state.last_turn
        text = self._box.selected_text or (turn.text if turn is not None else "")
        if text:
            self.app.copy_to_clipboard(text)
        self.say("Copied." if text else "There is nothing to copy yet.")

    def action_side(self) -> None:
        """Show or hide the side bar."""
        self.toggle_class("-no-side" if self.has_class("-wide") else "-side")

    def action_scroll(self, pages: int) -> None:
        """Scroll the conversation."""
        scroll = self._conversation.scroll_page_down if pages > 0 else self._conversation.scroll_page_up
        scroll(animate=False)

    # Drawing.

    def say(self, words: str) -> None:
        """Show a notice for a while."""
        self._notice = words
        if self._notice_timer is not None:
            self._notice_timer.stop()
        self._notice_timer = self.set_timer(NOTICE_SECONDS, self._forget_notice)
        self._show_notice()

    def _forget_notice(self) -> None:
        self._notice = ""
        self._show_notice()

    def _draw_soon(self) -> None:
        self._ready.clear()
        if self._redraw is None:
            self._redraw = self.set_timer(REDRAW_SECONDS, self._draw)

    async def _draw(self) -> None:
        self._redraw = None
        state = self._chat.state
        await self._show_turns()
        self._show_draft()
        self._show_notice()
        self.query_one(SideBar).show(sections(state))
        self.query_one("#status", Static).update(Content(shown(status(state))))
        if state.link is Link.OPEN and not state.running and not self._entering:
            self._ready.set()

    async def _show_turns(self) -> None:
        turns, views = self._chat.state.turns, list(self.query(TurnView))
        self.query_one("#welcome").display = not turns
        for view in views[len(turns) :]:
            await view.remove()
        for view, turn in zip(views, turns, strict=False):
            view.show(turn)
        if new := turns[len(views) :]:
            await self._conversation.mount(*map(TurnView, new))

    def _show_draft(self) -> None:
        state, box = self._chat.state, self._box
        box.show_marks(state.marks)
        box.set_class(state.marks.begun and bool(state.draft), "-begun")
        box.border_title = "Edit of the last message · Esc puts it back" if state.edits else "Message"
        box.border_subtitle = in_words(len(state.draft), state.marks)

    def _show_notice(self) -> None:
        state, words = self._chat.state, self._notice
        if state.link is Link.RECONNECTING:
            words = f"Reconnecting. {state.link_reason} You can type on."
        elif state.link is Link.CLOSED:
            words = f"Not connected. {state.link_reason} Enter connects again."
        line = self.query_one("#notice", Static)
        line.display = bool(words)
        line.update(Content(shown(words)))

    # Replays.

    async def _type_replay(self) -> None:
        keys = Keys(lambda: self._box.text, self._box.do, self._enter, self._ready.wait)
        await replay(self._replayed, keys)

    def _enter(self) -> None:
        self._entering = True  # until the box's message is handled: what is drawn before is of the turn before
        self._ready.clear()
        self._box.action_submit()
