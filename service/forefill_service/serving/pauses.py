"""The typing pauses of one session: what is done while the user is silent. One task does it all, one thing at a time.

    when                                            what
    the pause is long enough (`guesses.begin_at`)   the answer to the draft is begun; if its prompt lacks more than may
                                                    be sent at once, that is warmed first, in pieces
    the set pause is over, but no answer is begun   the draft is warmed, but for what may be under composition
    there was no room                               it is tried again while the silence lasts, less and less often

An edit or SUBMIT withdraws at once what is not in the engine yet.
"""

import asyncio
import logging
from dataclasses import dataclass

from ..session.guesses import LONGEST_PAUSE_FACTOR
from .owner import Owner
from .pregeneration_task import Pregenerator
from .turn import Turn
from .warmer import Warmed, Warmer

log = logging.getLogger(__name__)

MOST_TRIES = 32
"""For one silence: the last ones come LONGEST_PAUSE_FACTOR set pauses apart."""


@dataclass(eq=False, slots=True)
class Draft:
    """The draft of a turn, since when it is this, and when something is to be done about it next.

    The first `settled` of it may be confirmed. It is `over` when another takes its place.
    """

    turn: Turn
    text: str
    settled: str
    changed_at: float
    due_at: float
    tries: int = 0
    over: bool = False


class Pauses:
    """What one session does in the pauses of its user."""

    def __init__(self, owner: Owner, warmer: Warmer, pregenerator: Pregenerator) -> None:
        self._backend = owner.backend
        self._pause_seconds = owner.backend.settings.pregeneration.pause_ms / 1000
        self._warmer = warmer
        self._pregenerator = pregenerator
        self._draft: Draft | None = None
        self._wake = asyncio.Event()

    def drafted(self, turn: Turn, text: str, composed_code_points: int, now: float) -> None:
        """Take the draft as it is now: what is done for another is withdrawn."""
        self._interrupt()
        self._pregenerator.edited()
        settled = text[: len(text) - composed_code_points]
        self._draft = Draft(turn, text, settled, now, now + self._pause_seconds)
        self._wake.set()

    def submitting(self) -> None:
        """Do nothing more in this turn; what runs goes on until it is known what SUBMIT asks for."""
        self._interrupt()
        self._pregenerator.submitting()

    def end_turn(self) -> None:
        """Close what was begun in the turn and not asked for."""
        self._interrupt()
        self._pregenerator.end_turn()

    async def run(self) -> None:
        """Wait for pauses, and work in them, until cancelled.

        Raises EngineDied.
        """
        while True:
            await self._wake.wait()
            if (draft := self._draft) is None:
                self._wake.clear()
            elif (rest := draft.due_at - self._backend.clock()) > 0:
                # One sleep a pause, not one a key; and none is longer, since the draft may change meanwhile.
                await self._backend.sleep(min(rest, self._pause_seconds))
            else:
                due_at = await self._work(draft)
                if due_at is not None:
                    draft.due_at = due_at
                elif not draft.over:
                    self._wake.clear()

    def _interrupt(self) -> None:
        if self._draft is not None:
            self._draft.over = True
            self._draft = None
        self._warmer.silence_is_over()

    async def _work(self, draft: Draft) -> float | None:
        """Do for a draft what is to be done now; return when more is, None for never."""
        if not draft.text:
            return None
        begin_at = self._pregenerator.begin_at(draft.turn, draft.text, draft.changed_at)
        if begin_at is not None and begin_at <= self._backend.clock():
            return self._once_more(draft) if await self._begin(draft) else None
        warmed = await self._warm(draft)
        if warmed is not Warmed.NOT_NOW:
            return begin_at
        return min((at for at in (begin_at, self._once_more(draft)) if at is not None), default=None)

    async def _begin(self, draft: Draft) -> bool:
        """Begin the answer to a draft, after what would be too much at once; return whether to try again."""
        prompt = await self._pregenerator.to_begin(draft.turn, draft.text)
        if prompt is None or draft.over:
            return False
        if not self._pregenerator.may_start(prompt):
            warmed = await self._warmer.in_silence(draft.turn, prompt, urgent=True)
            if draft.over:
                return False
            if not self._pregenerator.fits(prompt):
                return warmed is not Warmed.NEVER
        return await self._pregenerator.begin(draft.turn, draft.text, prompt)

    async def _warm(self, draft: Draft) -> Warmed:
        try:
            stable = await draft.turn.stable(draft.settled)
        except Exception as error:  # if it is more than a warm's problem, SUBMIT will report it
            log.debug("nothing to warm in a pause: %s", type(error).__name__)
            return Warmed.NEVER
        return Warmed.NOT_NOW if draft.over else await self._warmer.in_silence(draft.turn, stable)

    def _once_more(self, draft: Draft) -> float | None:
        """Return when what found no room is tried again: after one set pause, two, four, ..."""
        factor = min(LONGEST_PAUSE_FACTOR, 2**draft.tries)
        draft.tries += 1
        return None if draft.tries > MOST_TRIES else self._backend.clock() + factor * self._pause_seconds
