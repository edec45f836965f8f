"""The key sequences that Textual does not know by itself."""

from enum import Enum

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS


class _MoreKeys(str, Enum):
    ALT_ENTER = "alt+enter"


def know_alt_enter() -> None:
    """Tell Alt+Enter, which terminals send as ESC and CR, from Enter: it begins a line, and must not submit."""
    ANSI_SEQUENCES_KEYS["\x1b\r"] = (_MoreKeys.ALT_ENTER,)  # type: ignore[assignment]
