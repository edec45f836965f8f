"""The lines of one conversation: the one that it has, and those that are going to take it over."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from .actions import Action, CloseSocket, Send
from .line import Line

TAKEN_OVER: Final = 4001


class Lines:
    """Knows which line counts; calls `expire` if there has been none for `keep_seconds`."""

    def __init__(self, keep_seconds: float, expire: Callable[[], None]) -> None:
        self.latest: Line | None = None
        """The line whose messages count, also those that it sent before it broke."""
        self.alone_since: float | None = None
        """When the last one broke, by the loop's clock; None while there is one."""
        self._now: Line | None = None
        self._expected: list[Line] = []
        self._keep_seconds = keep_seconds
        self._expire = expire
        self._expiry: asyncio.TimerHandle | None = None

    def expect(self, line: Line) -> None:
        """Take in that a line is going to be attached."""
        self._expected.append(line)
        self.alone_since = None
        self.stop_clock()

    def awaits(self, line: Line) -> bool:
        """Return whether a line was expected and is neither attached nor broken."""
        return line in self._expected

    def attach(self, line: Line) -> None:
        """Have an expected line; the one before is closed."""
        if self._now is not None:
            self._now.close(TAKEN_OVER)
        self._expected.remove(line)
        self._now = self.latest = line

    def detach(self, line: Line) -> None:
        """Take in that a line is broken."""
        if line in self._expected:
            self._expected.remove(line)
        if line is self._now:
            self._now = None
        if self._now is None and not self._expected and self.alone_since is None:
            loop = asyncio.get_running_loop()
            self.alone_since = loop.time()
            known = self.latest is not None  # a browser that was never told the token cannot come back
            self._expiry = loop.call_later(self._keep_seconds if known else 0, self._expire)

    def stop_clock(self) -> None:
        """Expire no more."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def tell(self, actions: Iterable[Action], *, over: bool) -> None:
        """Do what concerns the socket. Those that are expected hear only how a conversation ended before it began."""
        lines = [self._now] if self._now is not None else self._expected if over else []
        for action in actions:
            for line in lines:
                match action:
                    case Send(reply):
                        line.put(reply)
                    case CloseSocket(code):
                        line.close(code)
                    case _:
                        pass

    def close(self, code: int) -> None:
        """Close all that are not being closed."""
        for line in (self._now, *self._expected):
            if line is not None:
                line.close(code)
