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
    """What one caller has now: its open sessions, the rate of its Opens, its answers, and its tokens."""

    answers: asyncio.Semaphore
    opens: Bucket | None
    tokens: Bucket | None
    sessions: int = 0

    @property
    def idle(self) -> bool:
        """Whether it is as if the caller had never come."""
        return not self.sessions and all(bucket is None or bucket.full for bucket in (self.opens, self.tokens))

    @property
    def quota_seconds(self) -> float:
        """For how long it may use no more tokens; 0 if it may."""
        return 0.0 if self.tokens is None else self.tokens.debt_seconds

    def used(self, tokens: int) -> None:
        """Book tokens that an engine has computed or generated for it."""
        if self.tokens is not None:
            self.tokens.take(tokens)


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of all callers. Those whom the server does not tell apart have all of it."""

    sessions_per_caller: int
    opens_per_second: float
    answers_per_caller: int
    tokens_per_minute: int
    clock: Callable[[], float]
    _by_caller: dict[str, Share] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float]) -> "Shares":
        """Build them as the settings say."""
        limits = settings.limits
        sessions = limits.sessions_per_caller or max(1, settings.sessions.max_open // 2)
        return cls(sessions, limits.opens_per_second, limits.answers_per_caller, limits.tokens_per_minute, clock)

    def share(self, caller: Caller) -> Share:
        """Return the share of a caller."""
        if (share := self._by_caller.get(caller.key)) is None:
            if len(self._by_caller) >= FORGET_ABOVE:
                self._forget()
            opens = Bucket(self.opens_per_second, self.sessions_per_caller, self.clock) if caller.is_known else None
            answers = asyncio.Semaphore(self.answers_per_caller if caller.is_known else sys.maxsize)
            tokens = None
            if caller.is_known and self.tokens_per_minute:
                tokens = Bucket(self.tokens_per_minute / 60, self.tokens_per_minute, self.clock)
            share = Share(answers, opens, tokens)
            self._by_caller[caller.key] = share
        return share

    @contextmanager
    def session(self, caller: Caller) -> Iterator[None]:
        """Count a session of a caller while it is open. Raises Refusal if the caller has its share, or is too fast."""
        share = self.share(caller)
        if caller.is_known:
            if share.sessions >= self.sessions_per_caller:
                raise Refusal(Reason.RATE_LIMITED, f"{share.sessions} sessions of it are open")
            if share.opens is not None and (seconds := share.opens.try_take()):
                raise Refusal(Reason.RATE_LIMITED, "it opens sessions too fast", retry_after_seconds=seconds)
        share.sessions += 1
        try:
            yield
        finally:
            share.sessions -= 1

    def _forget(self) -> None:
        for key, share in list(self._by_caller.items()):
            if share.idle:
                del self._by_caller[key]
