"""The looks of the chat: dark, light, and the terminal's own sixteen colours."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rich.color import ColorSystem
from textual.theme import BUILTIN_THEMES, Theme

DARK: Final = Theme(
    name="dark",
    primary="#4493f8",
    secondary="#79c0ff",
    accent="#4493f8",
    success="#56d364",
    warning="#e3b341",
    error="#ff7b72",
    foreground="#e6edf3",
    background="#0d1117",
    surface="#0d1117",
    panel="#161b22",
    boost="#0d1117",
    dark=True,
    variables={
        "border": "#4493f8",
        "border-blurred": "#3d444d",
        "quiet": "#9198a1",
        "cached": "#56d364",
        "confirmed": "#e3b341",
        "begun": "#d2a8ff",
    },
)
LIGHT: Final = Theme(
    name="light",
    primary="#0969da",
    secondary="#0550ae",
    accent="#0969da",
    success="#116329",
    warning="#7d4e00",
    error="#a40e26",
    foreground="#1f2328",
    background="#ffffff",
    surface="#ffffff",
    panel="#f0f3f6",
    boost="#ffffff",
    dark=False,
    variables={
        "border": "#0969da",
        "border-blurred": "#afb8c1",
        "quiet": "#59636e",
        "cached": "#116329",
        "confirmed": "#7d4e00",
        "begun": "#6639ba",
    },
)
TERMINAL: Final = Theme(
    name="terminal",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_cyan",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        **BUILTIN_THEMES["ansi-dark"].variables,
        "border": "ansi_cyan",
        "border-blurred": "ansi_default",
        "quiet": "ansi_default",
        "cached": "ansi_green",
        "confirmed": "ansi_yellow",
        "begun": "ansi_magenta",
    },
)
THEMES: Final = (DARK, LIGHT, TERMINAL)
NAMES: Final = tuple(theme.name for theme in THEMES)
FEW_COLOURS: Final = (None, ColorSystem.STANDARD, ColorSystem.WINDOWS)

_LIGHT_BACKGROUNDS: Final = ("7", "15")
"""How COLORFGBG, which some terminals set, names them."""


def theme_for(colours: ColorSystem | None, environment: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the name of the theme for a terminal with these colours.

    One with few, or whose user wants none (NO_COLOR), keeps its own.
    """
    if colours in FEW_COLOURS or environment.get("NO_COLOR"):
        return TERMINAL.name
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT.name if background in _LIGHT_BACKGROUNDS else DARK.name


def next_theme(name: str) -> str:
    """Return the theme after this one."""
    return NAMES[(NAMES.index(name) + 1) % len(NAMES)] if name in NAMES else NAMES[0]
