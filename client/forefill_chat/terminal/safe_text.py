"""Text from a model or a clipboard, made safe for a terminal: what it holds is shown, and never obeyed.

| in the text | on the screen |
|---|---|
| a control character, such as ESC | its picture: ␛ |
| one of the 32 from U+0080 on, which some terminals obey | its code point: ⟨U+009B⟩ |
| a control that reorders text (embedding, override, isolate) | its code point: ⟨U+202E⟩ |
| a line separator other than a line break | its code point: ⟨U+2028⟩ |
| a lone surrogate, which has no UTF-8 | � |
| a tab | spaces up to the next multiple of four |

Marks that only say which way their neighbours read (U+200E, U+200F, U+061C) stay: right-to-left texts need them, and
they cannot reorder what is around them.
"""

from typing import Final

TAB_COLUMNS: Final = 4
REORDERING: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
SEPARATORS: Final = (0x2028, 0x2029)
UNKNOWN: Final = "�"

_PICTURES: Final = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"} | {0x7F: "␡"}
_NAMED: Final = (*range(0x80, 0xA0), *REORDERING, *SEPARATORS)
_SURROGATES: Final = dict.fromkeys(range(0xD800, 0xE000), UNKNOWN)
_SHOWN: Final = _SURROGATES | _PICTURES | {code: f"⟨U+{code:04X}⟩" for code in _NAMED}
_SHOWN_IN_PLACE: Final = _SURROGATES | _PICTURES | dict.fromkeys(_NAMED, UNKNOWN)


def shown(text: str) -> str:
    """Return what to show for a text."""
    return text.replace("\r\n", "\n").translate(_SHOWN).expandtabs(TAB_COLUMNS)


def shown_in_place(line: str) -> str:
    """Return what to show for a line that is edited: each code point in its place, and tabs as they are."""
    return line.translate(_SHOWN_IN_PLACE)
