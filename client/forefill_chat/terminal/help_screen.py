"""The help on the screen."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from .draft_spans import Part
from .help_text import KEYS, NOTES, PARTS

STYLES = {
    Part.PENDING: "$foreground",
    Part.CONFIRMED: "underline $confirmed",
    Part.CACHED: "bold $cached",
    Part.BEGUN: "bold underline $begun",
}
"""As chat.tcss has them for the draft."""

_KEY_COLUMNS = max(len(keys) for keys, _ in KEYS) + 2
_PART_COLUMNS = max(len(part.value) for part in Part) + 2
_NARROW_COLUMNS = 72


class HelpScreen(ModalScreen[None]):
    """Keys, colours and notes; any of the closing keys leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,f1,ctrl+g,ctrl+c", "dismiss", "Close", key_display="Esc"),
        Binding("down,j", "scroll(1)", "Scroll", show=False),
        Binding("up,k", "scroll(-1)", "Scroll", show=False),
        Binding("pagedown,space", "scroll(10)", "Scroll", show=False),
        Binding("pageup", "scroll(-10)", "Scroll", show=False),
    ]

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help", can_focus=False) as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes · ↑ ↓ scroll"
            yield Static(id="help-text")

    def on_resize(self) -> None:
        self.query_one("#help-text", Static).update(help_content(narrow=self.size.width < _NARROW_COLUMNS))

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one("#help").scroll_relative(y=lines, animate=False)


def help_content(*, narrow: bool) -> Content:
    """Return the text; with few columns, what a key does is below its name."""
    blocks = [_heading("keys"), *(_entry(keys, does, narrow=narrow) for keys, does in KEYS)]
    blocks += [Content(""), _heading("the colours of a message"), *legend()]
    for note in NOTES:
        blocks += [Content(""), Content(note)]
    return Content("\n").join(blocks)


def legend() -> list[Content]:
    """Return a line for each part that a draft may have, in its colour."""
    return [
        Content.assemble((part.value, STYLES[part]), " " * (_PART_COLUMNS - len(part.value)), meaning)
        for part, meaning in PARTS
    ]


def _heading(text: str) -> Content:
    return Content.styled(text.upper(), "bold $accent")


def _entry(keys: str, does: str, *, narrow: bool) -> Content:
    if narrow:
        return Content.assemble((keys, "bold"), f"\n  {does}")
    return Content.assemble((f"{keys:<{_KEY_COLUMNS}}", "bold"), does)
