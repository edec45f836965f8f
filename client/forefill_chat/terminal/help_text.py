"""The help of the chat: keys, colours, and what a terminal cannot do. Pure."""

from typing import Final

from .draft_spans import Part

KEYS: Final = (
    ("Enter", "send the message"),
    ("Ctrl+J, Alt+Enter", "begin a new line"),
    ("Esc", "stop the answer; or end the edit of the last message"),
    ("Ctrl+C", "stop the answer; twice in a row: quit"),
    ("Ctrl+T", "measure what the last answer would have waited without forefill"),
    ("Ctrl+R", "have the last answer generated again"),
    ("Ctrl+P, ↑ in the empty box", "edit the last message and ask again"),
    ("Ctrl+O", "copy what is selected in the box, or else the last answer"),
    ("Ctrl+Z, Ctrl+Y", "undo, redo"),
    ("Page Up, Page Down", "scroll the conversation"),
    ("F2", "show or hide the side bar"),
    ("F3", "next colours: dark, light, the terminal's own"),
    ("F1, Ctrl+G", "this help"),
    ("Ctrl+Q; Ctrl+D in the empty box", "quit"),
)
PARTS: Final = (
    (Part.PENDING, "typed, and nothing is known of it yet"),
    (Part.CONFIRMED, "the server has it and may read it ahead"),
    (Part.CACHED, "the model has read it: it costs no time after Enter"),
    (Part.BEGUN, "the answer to exactly this draft is being generated"),
)
NOTES: Final = (
    "Most terminals send the same for Shift+Enter as for Enter, so it cannot begin a new line there. If yours tells"
    " the two apart (the kitty keyboard protocol), it does.",
    "A paste is taken as one edit if the terminal supports bracketed paste, as nearly all do. Without it, each line of"
    " a paste is sent like one that was typed.",
    "An input method for Chinese, Japanese or Korean hands over its text when you have chosen it. A terminal shows"
    " nothing of it before, so nothing is read ahead before either.",
    "Copying uses the terminal's clipboard (OSC 52), over ssh too. If yours does not allow it, select with Shift and"
    " the mouse.",
    "Without forefill (Ctrl+T) is measured: the same question is asked of the same engine twice more, with nothing"
    " cached and with the conversation before it cached. That costs the engine's time.",
    "Control characters, and those that reorder text, are shown and not obeyed.",
)
WELCOME: Final = (
    "The model reads your message while you type it, so that the answer starts at Enter. The colours of your message"
    " show how far it is:"
)
