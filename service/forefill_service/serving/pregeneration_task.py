"""Pre-generation for one session: the answer to the draft is begun, held back, and released if SUBMIT asks for it.

`Guesser` says when and how much of it, and `Pauses` begins them one after the other, so a session never has two of them
in the engine. What may become of one is a row of `session.pregeneration.STAGES`; here is what a change of stage means:

    it leaves the engine otherwise than by its own end     its request is aborted
    it is closed                                           its books are closed, on the turn that it was begun for
    it is adopted                                          what is there is released at once, the rest as it comes
    it is adopted, and its request ends before the answer  a new request continues it

A failure before SUBMIT is not reported: SUBMIT runs a plain generation then. Nothing is raised but the engine's death.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

from ..cache.prefill import Prefill, Room, Wait
from ..chat.generation import Output
from ..chat.token_ids import TokenIds
from ..chat.tool_choice import ToolChoice
from ..engine import Priority
from ..errors import EngineDied, EngineError
from ..scheduling.admission import Shed
from ..session.pregeneration import Happening, Pregeneration
from ..session.responses import PregenerationUpdate
from .attempt import Attempt
from .guesser import Guesser
from .owner import Owner
from .prefiller import Prefiller
from .tasks import cancel_once, cancelled
from .turn import Turn

log = logging.getLogger(__name__)


class Pregenerator:
    """The pre-generations of one session; `tell` is told that one is begun, and what became of it."""

    def __init__(
        self, owner: Owner, prefiller: Prefiller, guesser: Guesser, tell: Callable[[PregenerationUpdate], None]
    ) -> None:
        self._owner = owner
        self._backend = owner.backend
        self._prefiller = prefiller
        self._guesser = guesser
        self._tell = tell
        self._waiting: Attempt | None = None
        """It waits for its permit, to begin or to go on."""
        self._begun: Attempt | None = None

    def edited(self) -> None:
        """Stop what runs: the draft is another."""
        self._let_go()
        if self._begun is not None:
            self._begun.sees(Happening.EDIT)

    def submitting(self) -> None:
        """Let go of what waits; what runs goes on until it is known what SUBMIT asks for."""
        self._let_go()

    def prompt_of(self, text: str, choice: ToolChoice) -> TokenIds | None:
        """Return the prompt that asks for the answer to this text under this choice, if it is the one that is begun."""
        attempt = self._attempt_at(text)
        return attempt.begun.prompt if attempt is not None and attempt.turn.tool_choice == choice else None

    def held_tokens(self, text: str) -> int | None:
        """Return how many tokens of the answer to this text are there; None if more of it cannot be made now."""
        attempt = self._attempt_at(text)
        if attempt is None:
            return 0
        return attempt.begun.held_tokens if attempt.begun.can_grow else None

    def adopt(self, prompt: TokenIds, choice: ToolChoice, *, by_endpoint: bool) -> Attempt | None:
        """Return the attempt at the answer to exactly this prompt under this choice, adopted; None if there is none.

        `by_endpoint`: the engine's chat endpoint itself has to answer, so the attempt has to be its answer.
        """
        attempt = self._open_attempt
        if attempt is None:
            return None
        attempt.sees(self._submit(attempt, prompt, choice, by_endpoint=by_endpoint))
        return attempt if attempt.begun.adopted else None

    def end_turn(self) -> None:
        """Close what was begun in the turn and not asked for."""
        self._let_go()
        if self._begun is not None:
            self._begun.sees(Happening.STREAM_CUT)

    async def to_begin(self, turn: Turn, text: str) -> TokenIds | None:
        """Return the prompt of the answer to begin, or to go on with; None if there is nothing to make now."""
        if self.held_tokens(text) is None:
            return None
        if (begun := self.prompt_of(text, turn.tool_choice)) is not None:
            return begun
        try:
            prompt = await turn.final(text)
        except Exception as error:
            log.debug("nothing can be begun before SUBMIT: %s", type(error).__name__)
            return None
        attempt = self._open_attempt
        if attempt is not None and attempt.begun.prompt == prompt:  # its template makes the same of another text
            attempt.begun.text = text
            return None
        return prompt

    def may_start(self, prompt: TokenIds) -> bool:
        """Return whether the answer to this prompt may start now, as far as the engine is concerned."""
        return self.fits(prompt) and self._owner.route.now.replica.admission.has_slot(Priority.PREGENERATION)

    def fits(self, prompt: TokenIds) -> bool:
        """Return whether what this prompt lacks may be computed at once, when its turn comes."""
        place = self._owner.route.now
        planned = Prefill(prompt, self._owner.view(place).frontier(prompt, self._backend.clock()))
        return planned.new_tokens <= place.replica.admission.largest(planned.frontier)

    async def begin(self, turn: Turn, text: str, prompt: TokenIds, changed_at: float) -> bool:
        """Generate what the answer to this prompt is worth by now, until it ends, is held or is stopped.

        Return whether it was shed instead. `changed_at` is since when the draft is this text. Raises EngineDied.
        """
        attempt = self._attempt_at(text)
        if attempt is None:
            attempt = self._attempt(turn, text, prompt)
        attempt.begun.go_on(self._guesser.tokens(changed_at, attempt.begun.held_tokens))
        self._waiting = attempt
        attempt.task = asyncio.create_task(self._generate(attempt, changed_at))
        return await self._ended(attempt.task)

    @property
    def _open_attempt(self) -> Attempt | None:
        """The attempt that was begun last, unless it is over."""
        return None if self._begun is None or self._begun.closed else self._begun

    def _submit(self, attempt: Attempt, prompt: TokenIds, choice: ToolChoice, *, by_endpoint: bool) -> Happening:
        """Return what SUBMIT of this prompt is to what was begun.

        Under another choice, or where the endpoint answers and did not begin it, another answer follows the prompt.
        """
        asked = prompt, choice, by_endpoint
        if asked != (attempt.begun.prompt, attempt.turn.tool_choice, attempt.conversation is not None):
            return Happening.SUBMIT_OTHER
        replica = attempt.place.replica
        if not replica.up:
            return Happening.SUBMIT_SAME_ENGINE_LOST
        return Happening.SUBMIT_SAME_BEHIND_OTHERS if replica.engine.load.waiting else Happening.SUBMIT_SAME

    def _attempt_at(self, text: str) -> Attempt | None:
        """Return the attempt at the answer to this text, unless it is over."""
        attempt = self._open_attempt
        return attempt if attempt is not None and attempt.begun.text == text else None

    def _let_go(self) -> None:
        """Wait for no permit any more."""
        if (waiting := self._waiting) is None:
            return
        if waiting is self._begun and waiting.task is not None:  # what it has is kept
            cancel_once(waiting.task)
        else:
            waiting.sees(Happening.EDIT)

    async def _ended(self, task: asyncio.Task[None]) -> bool:
        try:
            await asyncio.wait({task})
        finally:
            await cancelled(task)
            self._waiting = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, EngineDied):
            raise error
        if error is not None:
            log.debug("nothing was begun before SUBMIT: %s", type(error).__name__)
        return isinstance(error, Shed)

    async def _generate(self, attempt: Attempt, changed_at: float) -> None:
        begun = attempt.begun
        try:
            asked = attempt.request(attempt.place, begun.asked_tokens, Priority.PREGENERATION)
            async with aclosing(asked) as outputs:
                await self._hold_back(attempt, outputs, changed_at)
                async for output in outputs:  # SUBMIT has asked for it
                    attempt.take(output)
        except EngineError as error:
            begun.failure = error
            raise
        finally:
            attempt.sees(Happening.ENGINE_FAILED if begun.failure else Happening.ENGINE_ENDED)

    async def _hold_back(self, attempt: Attempt, outputs: AsyncGenerator[Output, None], changed_at: float) -> None:
        """Wait for a permit and read until the end, the cap, or SUBMIT; in this time it may be stopped."""
        begun, owner, admission = attempt.begun, self._owner, attempt.place.replica.admission
        longest_seconds, plan = self._backend.settings.pregeneration.seconds, partial(self._plan, attempt)
        async with admission.permit(Priority.PREGENERATION, owner.tenant, owner.key, plan) as permit:
            self._start(attempt)
            async with _revoked_by(attempt, permit.revoked.wait(), self._backend.sleep(longest_seconds)):
                async for output in outputs:
                    admission.prefilled(permit, output.cached_tokens)
                    attempt.take(output)
                    if begun.adopted:
                        return
                    begun.cap = max(begun.cap, self._guesser.tokens(changed_at))
                    if begun.over_cap:
                        attempt.sees(Happening.CAP)
                        await outputs.aclose()

    def _start(self, attempt: Attempt) -> None:
        if self._begun is not None and self._begun is not attempt:
            self._begun.sees(Happening.SUPERSEDED)
        self._waiting, self._begun = None, attempt
        attempt.starts()

    def _plan(self, attempt: Attempt, room: Room, now: float) -> Prefill | Wait:
        if self._prefiller.in_flight:  # a warm of this session computes some of it
            return Wait.COMPUTED_BY_ANOTHER
        planned = Prefill(attempt.lead, attempt.view.frontier(attempt.lead, now))
        return planned if planned.new_tokens <= room(planned.frontier) else Wait.NO_ROOM

    def _attempt(self, turn: Turn, text: str, prompt: TokenIds) -> Attempt:
        info, place = self._backend.info, self._owner.route.now
        answer_tokens = info.answer_tokens(len(prompt), self._owner.sampling.max_tokens)
        by_endpoint = turn.prompts.answered_by_endpoint
        begun = Pregeneration(text, prompt, self._owner.can_go_on(by_endpoint=by_endpoint), answer_tokens)
        conversation = turn.prompts.conversation(text) if by_endpoint else None
        view, sampling = self._owner.view(place), self._owner.sampling
        return Attempt(self._owner, sampling, turn, place, view, begun, conversation, self._tell)


@asynccontextmanager
async def _revoked_by(attempt: Attempt, *causes: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Revoke an attempt if one of these returns before the block does."""
    watches = [asyncio.create_task(cause) for cause in causes]
    for watch in watches:
        watch.add_done_callback(lambda done: None if done.cancelled() else attempt.sees(Happening.REVOKED))
    try:
        yield
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
