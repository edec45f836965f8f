"""The side bar on the screen."""

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from .safe_text import shown
from .side_bar_text import Section


class SideBar(VerticalScroll, can_focus=False):
    """Headings and lines; a heading is told by its weight and its capitals, not by its colour alone."""

    def __init__(self) -> None:
        super().__init__(id="side")
        self._shown: list[Section] = []

    def compose(self) -> ComposeResult:
        yield Static(id="facts")

    def show(self, sections: list[Section]) -> None:
        """Draw the sections."""
        if sections == self._shown:
            return
        self._shown = sections
        parts: list[Content] = []
        for section in sections:
            parts.append(Content.styled(section.heading.upper(), "bold $accent"))
            parts += [Content(shown(line)) for line in section.lines]
            parts.append(Content(""))
        self.query_one("#facts", Static).update(Content("\n").join(parts))
