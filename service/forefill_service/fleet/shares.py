"""What one caller may have of a server, so that the others have theirs."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..access.caller import Caller
from ..access.rates import Bucket
from ..errors import Reason, Refusal
from ..settings import LimitSettings, Settings
from .turns import Turns

OPENED_AT_ONCE = 4
"""So many sessions of a caller are on the way from Open to Opened; more wait, in the order in which they came."""
REFUSALS_PER_SECOND = 50
LONGEST_REFUSAL_SECONDS = 1.0
"""So soon a caller is told that it has its share, however often it asks: who asks again at once is told later."""
FORGET_ABOVE = 1024
"""Callers without a session are remembered, for their rates, up to so many."""


@dataclass(eq=False, slots=True)
class Share:
    """What one caller has now: its open sessions, the rates of its Opens and events, its answers, and its tokens.

    What is None has no limit. Events that count as `in_turn_from` and more take turns.
    """

    answers: asyncio.Semaphore
    opening: asyncio.Semaphore
    opens: Bucket | None = None
    tokens: Bucket | None = None
    events: Bucket | None = None
    refusals: Bucket | None = None
    in_turn_from: int = 1
    turns: Turns = field(default_factory=Turns)
    sessions: int = 0

    @property
    def idle(self) -> bool:
        """Whether it is as if the caller had never come."""
        buckets = (self.opens, self.tokens, self.events)
        return not self.sessions and all(bucket is None or bucket.full for bucket in buckets)

    @property
    def refusal_seconds(self) -> float:
        """How long it has to wait for its next refusal, which is counted."""
        if self.refusals is None:
            return 0.0
        seconds = self.refusals.debt_seconds
        if seconds < LONGEST_REFUSAL_SECONDS:
            self.refusals.take()
        return min(seconds, LONGEST_REFUSAL_SECONDS)

    @property
    def quota_seconds(self) -> float:
        """For how long it may use no more tokens; 0 if it may."""
        return 0.0 if self.tokens is None else self.tokens.debt_seconds

    def used(self, tokens: int) -> None:
        """Book tokens that an engine has computed or generated for it."""
        if self.tokens is not None:
            self.tokens.take(tokens)

    async def take_in(
        self, cost: int, sleep: Callable[[float], Awaitable[None]], at_least_seconds: float = 0, *, turns: int = 1
    ) -> None:
        """Wait until an event of this cost may be carried out, and no shorter than so many seconds."""
        wait = at_least_seconds if self.events is None else max(at_least_seconds, self.events.take(cost))
        if wait:
            await sleep(wait)
        if cost >= self.in_turn_from:
            await self.turns.mine(turns)


@dataclass(frozen=True, slots=True)
class Shares:
    """The shares of all callers. Those whom the server does not tell apart have all of it."""

    sessions_per_caller: int
    limits: LimitSettings
    clock: Callable[[], float]
    _by_caller: dict[str, Share] = field(default_factory=dict)
    _present: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, settings: Settings, clock: Callable[[], float]) -> "Shares":
        """Build them as the settings say."""
        limits = settings.limits
        sessions = limits.sessions_per_caller or max(1, settings.sessions.max_open // 2)
        return cls(sessions, limits, clock)

    def share(self, caller: Caller) -> Share:
        """Return the share of a caller."""
        if (share := self._by_caller.get(caller.key)) is None:
            if len(self._by_caller) >= FORGET_ABOVE:
                self._forget()
            share = self._by_caller[caller.key] = self._new() if caller.is_known else _unlimited()
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
        self._present.add(caller.key)
        try:
            yield
        finally:
            share.sessions -= 1
            if not share.sessions:
                self._present.discard(caller.key)

    def _new(self) -> Share:
        limits, clock = self.limits, self.clock
        per_minute, events = limits.tokens_per_minute, limits.events_per_second_per_caller
        return Share(
            answers=asyncio.Semaphore(limits.answers_per_caller),
            opening=asyncio.Semaphore(OPENED_AT_ONCE),
            opens=Bucket(limits.opens_per_second, self.sessions_per_caller, clock),
            tokens=Bucket(per_minute / 60, per_minute, clock) if per_minute else None,
            events=Bucket(events, events, clock),
            refusals=Bucket(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND, clock),
            turns=Turns(alone=lambda: len(self._present) <= 1),
        )

    def _forget(self) -> None:
        for key, share in list(self._by_caller.items()):
            if share.idle:
                del self._by_caller[key]


def _unlimited() -> Share:
    """Return the share of all whom the server does not tell apart: of their events only the long ones take turns."""
    return Share(answers=asyncio.Semaphore(sys.maxsize), opening=asyncio.Semaphore(sys.maxsize), in_turn_from=2)
