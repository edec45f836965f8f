"""The sessions that are open, and the watch that ends those of callers who may not stay, the old, and the silent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..access.caller import Caller, Credentials, Permission
from ..access.gate import Gate
from ..errors import Reason, Refusal
from ..fleet.backend import Backend
from ..serving.runner import SessionRunner

LOOK_SECONDS = 2.0
"""How often the sessions are looked at."""
CHECK_SECONDS = 15.0
"""How often the credentials of an open session are checked again: so long a key that was withdrawn goes on."""


@dataclass(eq=False, slots=True)
class OpenSession:
    """One session: who opened it, with what, and when, on the server's clock."""

    runner: SessionRunner
    caller: Caller
    credentials: Credentials
    opened_at: float
    checked_at: float
    told_to_go: bool = False


@dataclass(eq=False, slots=True)
class OpenSessions:
    """All that are open. `run` watches over them."""

    backend: Backend
    gate: Gate
    _open: set[OpenSession] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._open)

    def runners(self) -> list[SessionRunner]:
        """Return what runs them."""
        return [session.runner for session in self._open]

    def check_room(self) -> None:
        """Raise Refusal if there is no room for one more."""
        if len(self._open) >= self.backend.settings.sessions.max_open:
            raise Refusal(Reason.TOO_MANY_SESSIONS)

    @contextmanager
    def holding(self, runner: SessionRunner, caller: Caller, credentials: Credentials) -> Iterator[None]:
        """Watch over a session while it is open."""
        now = self.backend.clock()
        session = OpenSession(runner, caller, credentials, now, now)
        self._open.add(session)
        self.backend.metrics.opened()
        try:
            yield
        finally:
            self._open.discard(session)
            self.backend.metrics.closed()

    async def run(self) -> None:
        """Watch over them until cancelled."""
        while True:
            await self.backend.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:  # apart from `run`, which would hold the last session until the next look
        for session in list(self._open):
            await self._look_at(session)

    async def _look_at(self, session: OpenSession) -> None:
        now, runner, settings = self.backend.clock(), session.runner, self.backend.settings
        age = now - session.opened_at
        if not await self._may_stay(session, now):
            runner.end(Reason.CREDENTIALS_EXPIRED)
        elif now - runner.heard_at >= settings.limits.idle_seconds:
            runner.end_between_answers(Reason.SESSION_IDLE)
        elif age >= settings.limits.age_seconds and not session.told_to_go:
            session.told_to_go = True
            runner.go_away(settings.server.go_away_seconds)
        elif age >= settings.limits.age_seconds + settings.server.go_away_seconds:
            runner.end_between_answers(Reason.SESSION_TOO_OLD)

    async def _may_stay(self, session: OpenSession, now: float) -> bool:
        if self.gate.has_expired(session.caller):
            return False
        if now - session.checked_at < CHECK_SECONDS:
            return True
        session.checked_at = now
        try:
            await self.gate.admit(session.credentials, Permission.COMPOSE)
        except Refusal:
            return False
        return True
