"""Texts that the wire can hold."""

from .errors import InvalidRequest, InvalidText


def checked_text(text: str, name: str = "the text") -> str:
    """Return `text`; raise InvalidText if it cannot be encoded as UTF-8, InvalidRequest if it is none."""
    if not isinstance(text, str):
        raise InvalidRequest(f"{name} must be a str, not {text!r:.80}", session_continues=True)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidText(
            f"{name} holds a lone surrogate at position {error.start}: join surrogate pairs, or replace it",
            session_continues=True,
        ) from None
    return text
