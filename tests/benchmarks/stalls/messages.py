"""Messages as large and as odd as they can be. An Open is bytes: its client does not make a million objects for it."""

from collections.abc import Callable

from forefill.v1 import keystroke_pb2 as pb

Event = Callable[[], pb.KeystrokeEvent]
"""Makes an event, without its number."""


def opening(*parts: bytes) -> bytes:
    """Return an Open with these parts."""
    return _field(pb.ComposeRequest.DESCRIPTOR.fields_by_name["open"].number, b"".join(parts))


def said(text: str) -> bytes:
    """Return one message, as a part of Open."""
    return pb.Open(messages=[pb.ChatMessage(role="system", content=text)]).SerializeToString()


def variables(value: bytes, size: int) -> bytes:
    """Return template variables that are a list of this value, as a part of Open, of about so many bytes."""
    values = _field(1, value) * (size // (len(value) + 2))
    listed = _field(6, values)
    return _field(
        pb.Open.DESCRIPTOR.fields_by_name["chat_template_kwargs"].number, _field(1, _field(1, b"x") + _field(2, listed))
    )


def stops(texts: int, size: int) -> bytes:
    return pb.Open(sampling=pb.Sampling(stop=[filled("x", size)] * texts)).SerializeToString()


def tool(values: str, size: int) -> bytes:
    return pb.Open(
        tools=[TOOL.format(filled(values, size // len(values) * len(values)).rstrip(","))]
    ).SerializeToString()


def filled(text: str, size: int) -> str:
    """Return this text again and again, of so many bytes."""
    return (text * (size // len(text.encode()) + 1)).encode()[:size].decode(errors="ignore")


def flush(code_points: int, crc32: int) -> Event:
    return lambda: pb.KeystrokeEvent(flush=pb.Flush(draft_code_points=code_points, draft_crc32=crc32))


def paste(text: str) -> Event:
    return lambda: pb.KeystrokeEvent(replace=pb.Replace(start=0, end=1, text=text))


def rewrite(messages: int) -> Event:
    said = [pb.ChatMessage(role="u")] * messages
    return lambda: pb.KeystrokeEvent(rewrite=pb.Rewrite(messages=said))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    rest, seven = divmod(number, 128)
    return bytes([seven | 128]) + _varint(rest) if rest else bytes([seven])


EMPTY_LIST, EMPTY_OBJECT = b"\x32\x00", b"\x2a\x00"
A_MESSAGE = _field(1, _field(1, b"u"))
TOOL = '{{"type": "function", "function": {{"name": "a", "parameters": {{"enum": [{}]}}}}}}'
ODD = "".join(map(chr, range(0xAC00, 0xD7A4)))
LETTERS = "".join(chr(code) for code in range(0x100, 0x24F) if chr(code).isalpha())
WORDS = "the patients that were seen by a doctor in May, and why "
