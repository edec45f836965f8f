"""HTTP/2 by hand, for what no library sends: half messages, slow ones, floods of frames, and what is no HTTP/2."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

COMPOSE = "/forefill.v1.KeystrokeService/Compose"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
END_HEADERS = 4
CANCEL = (8).to_bytes(4, "big")
FRAME_BYTES = 16384


def frame(kind: int, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def call_headers(stream: int, path: str = COMPOSE, more: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return what opens a call on a stream; streams of clients have odd numbers."""
    fields = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "127.0.0.1"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more,
    )
    return frame(
        HEADERS, stream, b"".join(_literal(name) + _literal(value, b"") for name, value in fields), END_HEADERS
    )


def message(stream: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """Return one gRPC message, in as many frames as it takes."""
    whole = bytes([compressed]) + len(payload).to_bytes(4, "big") + payload
    pieces = (whole[at : at + FRAME_BYTES] for at in range(0, len(whole), FRAME_BYTES))
    return b"".join(frame(DATA, stream, piece) for piece in pieces)


def _literal(text: str, new_field: bytes = b"\x00") -> bytes:
    """Return a header's name or value, neither compressed nor remembered; before a name stands that a field begins."""
    data, length = text.encode(), len(text.encode())
    if length < 127:
        return new_field + bytes([length]) + data
    more, rest = bytearray([127]), length - 127
    while rest >= 128:
        more.append(rest % 128 + 128)
        rest //= 128
    return new_field + bytes([*more, rest]) + data


class RawConnection:
    """One TCP connection; whatever comes is read and thrown away, and `closed` is set when the server has hung up."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.closed = asyncio.Event()
        self._writer = writer
        self._reading = asyncio.create_task(self._read(reader))

    async def send(self, *data: bytes) -> None:
        """Send bytes; those that the server does not want any more are lost."""
        with suppress(ConnectionError):
            self._writer.writelines(data)
            await self._writer.drain()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        self.closed.set()

    async def close(self) -> None:
        self._reading.cancel()
        self._writer.transport.abort()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def raw_connection(address: str, *, greets: bool = True) -> AsyncIterator[RawConnection]:
    """Connect to HOST:PORT and begin HTTP/2, unless it is not to greet."""
    host, port = address.rsplit(":", 1)
    connection = RawConnection(*await asyncio.open_connection(host, int(port)))
    try:
        if greets:
            await connection.send(PREFACE, frame(SETTINGS, 0))
        yield connection
    finally:
        await connection.close()
