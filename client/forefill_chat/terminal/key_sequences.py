"""The key sequences that Textual does not know by itself."""

from enum import StrEnum
from typing import Any, cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS


class _MoreKeys(StrEnum):
    ALT_ENTER = "alt+enter"


def know_alt_enter() -> None:
    """Tell Alt+Enter, which terminals send as ESC and CR, from Enter: it begins a line, and must not submit."""
    cast("dict[str, Any]", ANSI_SEQUENCES_KEYS)["\x1b\r"] = (_MoreKeys.ALT_ENTER,)
