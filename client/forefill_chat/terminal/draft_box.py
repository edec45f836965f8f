"""The box in which the draft is typed, with its parts coloured by what has become of them."""

from contextlib import suppress
from typing import ClassVar, Final

from rich.text import Text
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType, NoBinding
from textual.message import Message
from textual.strip import Strip
from textual.widgets import TextArea

from ..draft_marks import DraftMarks
from .draft_keys import BoxEdit, location
from .draft_spans import Part, in_line, spans
from .safe_text import shown_in_place

NEW_LINE_KEYS: Final = ("ctrl+j", "alt+enter", "shift+enter")
STYLES: Final = {part: f"draft--{part.name.lower()}" for part in Part}


class DraftBox(TextArea):
    """A text area that submits at Enter, and shows the marks of what it holds."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(STYLES.values())
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Send", key_display="⏎"),
        Binding(",".join(NEW_LINE_KEYS), "new_line", "New line", key_display="^j"),
    ]

    class Changed(TextArea.Changed):
        """The text has changed; it is `text`, whatever the box holds by the time that this is handled."""

        def __init__(self, text_area: TextArea) -> None:
            super().__init__(text_area)
            self.text = text_area.text

    class Submitted(Message):
        """Enter was pressed, when the box held `text`."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Recalled(Message):
        """The last message is wanted in the empty box."""

    class Ended(Message):
        """Ctrl+D was pressed in the empty box."""

    class Touched(Message):
        """A person has pressed a key in the box, or pasted."""

    def __init__(self) -> None:
        super().__init__(id="draft", soft_wrap=True, show_line_numbers=False, placeholder="Type a message")
        self.highlight_cursor_line = False
        self.match_cursor_bracket = False
        self.cursor_blink = False
        self._marks = DraftMarks()

    def show_marks(self, marks: DraftMarks) -> None:
        """Colour the text by these marks."""
        if marks != self._marks:
            self._marks = marks
            self._line_cache.clear()
            self.refresh()

    def fill(self, text: str) -> None:
        """Put a text into the box, with the cursor after it; undo brings back what was there."""
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.document.end)

    def do(self, edit: BoxEdit) -> None:
        """Carry out an edit as if it were typed."""
        start, end = location(self.text, edit.start), location(self.text, edit.end)
        result = self.replace(edit.text, start, end, maintain_selection_offset=False)
        self.move_cursor(result.end_location)

    def get_line(self, line_index: int) -> Text:
        """Return a line with its parts in their styles, and nothing in it that a terminal obeys."""
        plain = self.document.get_line(line_index)
        line = Text(shown_in_place(plain), end="", no_wrap=True)
        lengths = [len(each) + 1 for each in self.document.lines]
        parts = spans(sum(lengths) - 1, self._marks)
        for span in in_line(parts, sum(lengths[:line_index]), len(plain)):
            line.stylize(self.get_component_rich_style(STYLES[span.part], partial=True), span.start, span.end)
        return line

    def render_line(self, y: int) -> Strip:
        """Draw a row; a screen may be so narrow for a moment that no column is left, which Textual does not expect."""
        return super().render_line(y) if self.content_size.width > 0 else Strip.blank(self.size.width)

    async def _on_key(self, event: events.Key) -> None:
        self.post_message(self.Touched())
        if event.key == "enter":
            self.action_submit()
        elif event.key in NEW_LINE_KEYS:
            self.action_new_line()
        elif event.key == "up" and not self.text:
            self.post_message(self.Recalled())
        elif event.key == "ctrl+d" and not self.text:
            self.post_message(self.Ended())
        elif not await self._has_moved(event.key):
            return
        event.stop()
        event.prevent_default()

    async def _has_moved(self, key: str) -> bool:
        """Do at once what the box binds a key to, such as an arrow; return whether it binds any.

        Textual would do it after the key has gone up to the app, and after the keys that were typed meanwhile.
        """
        with suppress(NoBinding, SkipAction):
            for binding in self._bindings.get_bindings_for_key(key):
                await self.run_action(binding.action)
                return True
        return False

    async def _on_paste(self, event: events.Paste) -> None:
        self.post_message(self.Touched())

    def action_submit(self) -> None:
        """Submit what the box holds."""
        self.post_message(self.Submitted(self.text))

    def action_new_line(self) -> None:
        """Begin a line."""
        self._replace_via_keyboard("\n", *self.selection)
