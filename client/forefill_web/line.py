"""The writing end of one browser's socket: a queue, since a slow browser must not hold up its conversation."""

import asyncio
import contextlib
import json
from collections import deque
from typing import Final

from starlette.websockets import WebSocket, WebSocketDisconnect

from .limits import BridgeLimits
from .replies import Reply

TRY_LATER: Final = 1013


class Line:
    """Sends what is put, in order, until it is closed or the browser is gone.

    Pieces of an answer that wait are joined, so that a browser that was slow catches up.
    """

    def __init__(self, socket: WebSocket, address: str, limits: BridgeLimits) -> None:
        self.address = address
        self._socket = socket
        self._limits = limits
        self._unsent: deque[Reply] = deque()
        self._close_code: int | None = None
        self._cut = False
        self._changed = asyncio.Event()

    @property
    def closing(self) -> bool:
        """Whether nothing more is sent after what waits."""
        return self._close_code is not None

    def put(self, reply: Reply) -> None:
        """Send a message after those before it; if too many wait, cut the line instead."""
        if self.closing:
            return
        if not self._joined(reply):
            self._unsent.append(reply)
        if len(self._unsent) > self._limits.unsent_messages:
            self._cut = True
            self.close(TRY_LATER)
        self._changed.set()

    def close(self, code: int) -> None:
        """Close the socket after what was put."""
        if not self.closing:
            self._close_code = code
        self._changed.set()

    async def write(self) -> None:
        """Send what is put, until the line is closed, or the browser is gone or too slow."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):  # it is gone, or as good as that
            while not self._cut:
                while self._unsent and not self._cut:
                    async with asyncio.timeout(self._limits.write_seconds):
                        await self._socket.send_text(_encoded(self._unsent.popleft()))
                if self.closing:
                    break
                self._changed.clear()
                await self._changed.wait()
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
            async with asyncio.timeout(self._limits.write_seconds):
                await self._socket.close(TRY_LATER if self._close_code is None else self._close_code)
        self.close(TRY_LATER)

    def _joined(self, reply: Reply) -> bool:
        last = self._unsent[-1] if self._unsent else None
        if last is None or reply["type"] != "delta" or last["type"] != "delta" or last["turn"] != reply["turn"]:
            return False
        if "reasoning" in reply and "text" in last:  # the order of the two is kept
            return False
        more = {name: last.get(name, "") + reply[name] for name in ("text", "reasoning") if name in reply}
        self._unsent[-1] = last | more
        return True


def _encoded(reply: Reply) -> str:
    return json.dumps(reply, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
