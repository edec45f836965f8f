"""The silences of one session's user, and what is done in them. One task does it all, one thing at a time.

    when                                            what
    the answer is worth beginning (`Guesser`)       it is begun; if its prompt lacks more than may be sent at once, that
                                                    is warmed first, in pieces
    it is worth many more tokens than it has        it goes on
    the set pause is over                           the draft is warmed, but for what may be under composition
    there was no room                               it is tried again while the silence lasts, less and less often

An edit or SUBMIT withdraws at once what is not in the engine yet.
"""

import asyncio
import logging
from dataclasses import dataclass

from .guesser import Guesser
from .owner import Owner
from .pregeneration_task import Pregenerator
from .turn import Turn
from .warmer import Warmed, Warmer

log = logging.getLogger(__name__)

MOST_TRIES = 32
"""For one silence: the last ones come LONGEST_WAIT set pauses apart."""
LONGEST_WAIT = 16


@dataclass(eq=False, slots=True)
class Draft:
    """The draft of a turn, since when it is this, and when something is to be done about it next.

    The first `settled` of it may be confirmed; `warm_at` is when it is warmed, None if it is. Its answer is no longer
    tried to be made if that is not `guessing`. It is `over` when another takes its place.
    """

    turn: Turn
    text: str
    settled: str
    changed_at: float
    due_at: float
    warm_at: float | None
    guessing: bool = True
    tries: int = 0
    over: bool = False


class Pauses:
    """What one session does while its user is silent."""

    def __init__(self, owner: Owner, warmer: Warmer, guesser: Guesser, pregenerator: Pregenerator) -> None:
        self._backend = owner.backend
        self._pause_seconds = owner.backend.settings.warming.pause_ms / 1000
        self._warmer = warmer
        self._guesser = guesser
        self._pregenerator = pregenerator
        self._draft: Draft | None = None
        self._wake = asyncio.Event()
        self._sleep: asyncio.Future[None] | None = None
        self._sleeps_until = 0.0

    def drafted(self, turn: Turn, text: str, composed_code_points: int, now: float) -> None:
        """Take the draft as it is now: what is done for another is withdrawn."""
        self._interrupt()
        self._pregenerator.edited()
        self._guesser.changed(text, now, by_endpoint=turn.prompts.answered_by_endpoint)
        settled, warm_at = text[: len(text) - composed_code_points], now + self._pause_seconds
        self._draft = Draft(turn, text, settled, now, now, warm_at)
        self._plan(self._draft)

    def hinted(self, likely: bool) -> None:
        """Take what the client says of the draft as it is now: that SUBMIT is likely soon, or no longer."""
        self._guesser.hinted(likely)
        if self._draft is not None:
            self._plan(self._draft)

    def submitting(self, text: str, now: float) -> None:
        """Do nothing more in this turn; what runs goes on until it is known what SUBMIT asks for."""
        self._interrupt()
        self._guesser.submitted(text, now)
        self._pregenerator.submitting()

    def handing_off(self, text: str, now: float) -> None:
        """Do nothing more in this turn, and close what was begun: nobody adopts it."""
        self._interrupt()
        self._guesser.submitted(text, now, handed_off=True)
        self._pregenerator.end_turn()

    def end_turn(self) -> None:
        """Do nothing more in this turn, and close what was begun in it and not asked for."""
        self._interrupt()
        self._pregenerator.end_turn()

    async def run(self) -> None:
        """Wait for silences, and work in them, until cancelled.

        Raises EngineDied.
        """
        while True:
            await self._wake.wait()
            if (draft := self._draft) is None:
                self._wake.clear()
            elif (rest := draft.due_at - self._backend.clock()) > 0:
                await self._rest(rest, draft.due_at)
            else:
                due_at = await self._work(draft)
                if due_at is not None:
                    draft.due_at = due_at
                elif not draft.over:
                    self._wake.clear()

    def _plan(self, draft: Draft) -> None:
        """Wake up when something is to be done for a draft, if it stays as it is."""
        draft.due_at = self._next_at(draft) or draft.changed_at
        self._wake.set()
        if self._sleep is not None and draft.due_at < self._sleeps_until:
            self._sleep.cancel()

    async def _rest(self, seconds: float, until: float) -> None:
        """Sleep, unless something is due before: keys mostly move it on, so one sleep does for many."""
        self._sleep, self._sleeps_until = asyncio.ensure_future(self._backend.sleep(seconds)), until
        try:
            await asyncio.wait({self._sleep})
        finally:
            self._sleep.cancel()
            self._sleep = None

    def _interrupt(self) -> None:
        if self._draft is not None:
            self._draft.over = True
            self._draft = None
        self._warmer.silence_is_over()

    def _next_at(self, draft: Draft) -> float | None:
        """Return when something is to be done for a draft next; None: nothing in this silence."""
        return min((at for at in (self._guess_at(draft), draft.warm_at) if at is not None), default=None)

    def _guess_at(self, draft: Draft) -> float | None:
        held_tokens = self._pregenerator.held_tokens(draft.text) if draft.guessing else None
        return None if held_tokens is None else self._guesser.due_at(draft.changed_at, held_tokens)

    async def _work(self, draft: Draft) -> float | None:
        """Do for a draft what is to be done now; return when more is, None for never."""
        if not draft.text:
            return None
        now, guess_at = self._backend.clock(), self._guess_at(draft)
        if guess_at is not None and guess_at <= now:
            if await self._guess(draft):
                return self._once_more(draft)
        elif draft.warm_at is not None and draft.warm_at <= now:
            warmed = await self._warm(draft)
            draft.warm_at = self._once_more(draft) if warmed is Warmed.NOT_NOW else None
        if draft.over:
            return None
        return self._next_at(draft) or (self._once_more(draft) if self._guesser.barred else None)

    async def _guess(self, draft: Draft) -> bool:
        """Begin the answer to a draft, or go on with it; return whether there was no room and it is tried again."""
        held_tokens = self._pregenerator.held_tokens(draft.text)
        again = await self._begin(draft)
        draft.guessing = again or self._pregenerator.held_tokens(draft.text) != held_tokens
        if (
            self._pregenerator.prompt_of(draft.text, draft.turn.tool_choice) is not None
        ):  # nothing of it is left to warm
            draft.warm_at = None
        return again

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
        return await self._pregenerator.begin(draft.turn, draft.text, prompt, draft.changed_at)

    async def _warm(self, draft: Draft) -> Warmed:
        try:
            stable = await draft.turn.stable(draft.settled)
        except Exception as error:  # if it is more than a warm's problem, SUBMIT will report it
            log.debug("nothing to warm in a pause: %s", type(error).__name__)
            return Warmed.NEVER
        return Warmed.NOT_NOW if draft.over else await self._warmer.in_silence(draft.turn, stable)

    def _once_more(self, draft: Draft) -> float | None:
        """Return when what found no room is tried again: after one set pause, two, four, ..."""
        factor = min(LONGEST_WAIT, 2**draft.tries)
        draft.tries += 1
        return None if draft.tries > MOST_TRIES else self._backend.clock() + factor * self._pause_seconds
