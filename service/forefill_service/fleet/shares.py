"""What one caller may have of a server, so that the others have theirs."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..access.caller import Caller
from ..access.rates import Bucket
from ..errors import Reason, Refusal
from ..settings import Settings

FORGET_ABOVE = 1024
"""Callers without a session are remembered, for their rates, up to so many."""


@dataclass(eq=False, slots=True)
class Share:
    """What one caller has now: its open sessions, the rate of its Opens, and its answers."""

    answers: asyncio.Semaphore
    opens: Bucket | None
    sessions: int = 0

    @property
    def idle(self) -> bool:
        """Whether it is as if the caller had never come."""
        return not self.sessions and (self.opens is None or self.opens.full)


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of all callers. Those whom the server does not tell apart have all of it."""

    sessions_per_caller: int
    opens_per_second: float
    answers_per_caller: int
    clock: Callable[[], float]
    _by_caller: dict[str, Share] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float]) -> "Shares":
        """Build them as the settings say."""
        limits = settings.limits
        sessions = limits.sessions_per_caller or max(1, settings.sessions.max_open // 2)
        return cls(sessions, limits.opens_per_second, limits.answers_per_caller, clock)

    def share(self, caller: Caller) -> Share:
        """Return the share of a caller."""
        if (share := self._by_caller.get(caller.key)) is None:
            if len(self._by_caller) >= FORGET_ABOVE:
                self._forget()
            opens = Bucket(self.opens_per_second, self.sessions_per_caller, self.clock) if caller.is_known else None
            share = Share(asyncio.Semaphore(self.answers_per_caller if caller.is_known else sys.maxsize), opens)
            self._by_caller[caller.key] = share
        return share

    @contextmanager
    def session(self, caller: Caller) -> Iterator[None]:
        """Count a session of a caller while it is open. Raises Refusal if the caller has its share, or is too fast."""
        share = self.share(caller)
        if caller.is_known:
            if share.sessions >= self.sessions_per_caller:
                raise Refusal(Reason.RATE_LIMITED, f"{share.sessions} of its sessions are open")
            if share.opens is not None and (seconds := share.opens.try_take()):
                raise Refusal(Reason.RATE_LIMITED, "too many in too short a time", retry_after_seconds=seconds)
        share.sessions += 1
        try:
            yield
        finally:
            share.sessions -= 1

    def _forget(self) -> None:
        for key, share in list(self._by_caller.items()):
            if share.idle:
                del self._by_caller[key]
