"""The whole screen as text, and the draft's styles, as committed in tests/data/chat_screens.

After a change that is meant, have the files written again, look at the difference, and commit it with the change:

    RENEW_SNAPSHOTS=1 .venv/bin/python -m pytest tests/unit/faces/terminal/test_snapshot.py
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from forefill_chat.terminal.chat_state import ChatState, Link

from tests.support.chat_screens import ScreenOfChat, still_screen
from tests.support.chat_states import in_the_middle

SNAPSHOTS = Path(__file__).parents[3] / "data" / "chat_screens"


def first_look() -> ChatState:
    return ChatState(model="SmolLM2-135M-Instruct", link=Link.OPEN, prompt_tokens=1280)


def begun() -> ChatState:
    state = in_the_middle()
    state.marks = replace(state.marks, begun=True)
    return state


def reconnecting() -> ChatState:
    state = in_the_middle()
    state.linked(Link.RECONNECTING, "The server is shutting down.")
    return state


@pytest.mark.parametrize(
    ("name", "state", "size", "theme"),
    [
        ("first_look", first_look(), (110, 30), "dark"),
        ("conversation", in_the_middle(), (110, 34), "dark"),
        ("begun_light", begun(), (110, 34), "light"),
        ("terminal_colours", in_the_middle(), (80, 24), "terminal"),
        ("small", reconnecting(), (40, 12), "dark"),
    ],
)
async def test_the_screen_is_as_committed(name: str, state: ChatState, size: tuple[int, int], theme: str) -> None:
    async with still_screen(state, size=size, theme=theme) as screen:
        screen.box.fill(state.draft)
        await screen.until(lambda: screen.state.model[:4] in screen.text() or state.draft in screen.text())
        await screen.pilot.pause()
        seen = snapshot(screen)
    file = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("RENEW_SNAPSHOTS"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(seen, encoding="utf-8")
    assert seen == file.read_text(encoding="utf-8")


def snapshot(screen: ScreenOfChat) -> str:
    """Return the screen's text, a line of dashes, and a line for each part of the draft: its style, and its text."""
    styles = [f"{look}: {text!r}" for text, look in screen.draft_styles()]
    return "\n".join([screen.text(), "-" * 20, *styles, ""])
