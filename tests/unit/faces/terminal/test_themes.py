"""The looks: which one a terminal gets, and that its colours can be read."""

import pytest
from forefill_chat.terminal.themes import DARK, LIGHT, TERMINAL, next_theme, theme_for
from rich.color import ColorSystem
from textual.color import Color
from textual.theme import Theme


@pytest.mark.parametrize(
    ("colours", "environment", "theme"),
    [
        (ColorSystem.TRUECOLOR, {}, DARK),
        (ColorSystem.EIGHT_BIT, {"COLORFGBG": "15;0"}, DARK),
        (ColorSystem.TRUECOLOR, {"COLORFGBG": "0;15"}, LIGHT),
        (ColorSystem.STANDARD, {"COLORFGBG": "0;15"}, TERMINAL),
        (ColorSystem.TRUECOLOR, {"NO_COLOR": "1"}, TERMINAL),
        (None, {}, TERMINAL),
    ],
)
def test_a_terminal_gets_the_theme_that_suits_it(
    colours: ColorSystem | None, environment: dict[str, str], theme: Theme
) -> None:
    assert theme_for(colours, environment) == theme.name


def test_the_key_goes_through_all_of_them() -> None:
    assert [next_theme("dark"), next_theme("light"), next_theme("terminal")] == ["light", "terminal", "dark"]


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_every_text_has_the_contrast_that_wcag_aa_asks_for(theme: Theme) -> None:
    background = Color.parse(theme.background or "")
    named = {name: theme.variables[name] for name in ("quiet", "cached", "confirmed", "begun")}
    named |= {name: getattr(theme, name) for name in ("foreground", "success", "warning", "error", "accent")}
    too_low = {name: value for name, value in named.items() if contrast(Color.parse(value), background) < 4.5}
    assert too_low == {}


def contrast(first: Color, second: Color) -> float:
    """WCAG 2.2, 1.4.3."""
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: Color) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
