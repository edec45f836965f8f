"""Pre-generation for one session: in a pause the answer to the draft is begun, held back, and told if SUBMIT asks.

One task does it all in turn, so a session never has two of them. The next edit stops what runs; what had ended by then
costs the engine nothing, and is kept until another is begun or SUBMIT asks for something else. When SUBMIT comes:

    it asks for other ids                           what runs is stopped, a plain generation is sent
    for these, no token is there yet, others queue  the same: vLLM cannot raise the priority of what it has, and
                                                    what is computed of the prompt is found cached
    for these, and it runs                          what is there is told at once, the rest as it comes
    for these, and it ended before the answer did   what is there is told at once, a new request goes on with it

Whatever fails here before SUBMIT is our secret; nothing is raised but the engine's death.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from ..cache.planner import Prefill, Room, Wait
from ..chat.generation import Sampling
from ..chat.prompt import TurnPrompt
from ..chat.token_ids import TokenIds
from ..engine import Output, Priority, Request
from ..errors import EngineDied, EngineError, EngineRefused
from ..fleet.backend import Backend
from ..fleet.replicas import Place
from ..session.events import PregenerationMode
from ..session.pregeneration import Guesses, Pregeneration, continuable
from .warmer import Owner, Warmer

log = logging.getLogger(__name__)


class Pregenerator:
    """The pre-generations of one session; its books and its beliefs are the warmer's."""

    def __init__(
        self, backend: Backend, owner: Owner, warmer: Warmer, sampling: Sampling, mode: PregenerationMode
    ) -> None:
        settings = backend.settings
        self._backend = backend
        self._owner = owner
        self._warmer, self._ledger, self._planner = warmer, warmer.ledger, warmer.planner
        self._sampling = sampling
        self._active = (
            mode is not PregenerationMode.OFF
            and settings.pregeneration.enabled
            and settings.pregeneration.in_flight > 0
        )
        self._guesses = Guesses(settings.pregeneration.tries, adaptive=mode is PregenerationMode.AUTO)
        self._prompt: asyncio.Future[TurnPrompt]  # set by `begin_turn`
        self._draft = ""
        self._changed_at = 0.0
        self._sent = False
        self._begun: Pregeneration | None = None
        self.begun_at: Place  # set with it
        self._attempt: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._news = asyncio.Event()

    def begin_turn(self, prompt: asyncio.Future[TurnPrompt]) -> None:
        """Take the prompts of a new turn; they may still be in the making."""
        self._prompt = prompt
        self._guesses.begin_draft()
        self._drop()

    def drafted(self, text: str, now: float) -> None:
        """Take the draft as it is now: what runs for another is stopped."""
        if not self._active:
            return
        self._draft, self._changed_at = text, now
        self._withdraw()
        if self._begun is not None and not self._begun.ended:
            self._drop()
        self._wake.set()

    def submitting(self) -> None:
        """Begin nothing more in this turn; what runs goes on until it is known what SUBMIT asks for."""
        self._draft = ""
        self._withdraw()

    def prompt_of(self, text: str) -> TokenIds | None:
        """Return the prompt that asks for the answer to this text, if it is the one that is begun."""
        return self._begun.prompt if self._begun is not None and self._begun.text == text else None

    def adopt(self, prompt: TokenIds, place: Place) -> AsyncGenerator[Output, None] | None:
        """Return the answer to exactly this prompt, what is there as its first part; None where nothing is.

        What has ended is gone on with at `place`; what runs on an engine that is down is not waited for.
        """
        begun = self._begun
        if begun is not None and begun.prompt == prompt:
            self._guesses.came_true()
            runs_on = not begun.ended and self.begun_at.replica.up
            if (begun.adoptable and (begun.ended or runs_on)) or (runs_on and self._nobody_waits):
                begun.adopt()
                return self._answer(begun, place)
        self._drop()
        return None

    @property
    def _nobody_waits(self) -> bool:
        return self.begun_at.replica.engine.load.waiting == 0

    def abandon(self) -> None:
        """Book what nobody asked for."""
        self._drop()

    async def run(self) -> None:
        """Pre-generate until cancelled.

        Raises EngineDied.
        """
        while self._active:
            await self._typing_pause()
            if self._draft and self._guesses.may_try:
                await self._try(self._draft)

    async def _typing_pause(self) -> None:
        await self._wake.wait()
        pause_seconds = self._backend.settings.pregeneration.pause_ms / 1000 * self._guesses.pause_factor
        while (rest := self._changed_at + pause_seconds - self._backend.clock()) > 0:
            await self._backend.sleep(rest)
        self._wake.clear()  # one sleep a pause, not one a key

    async def _try(self, text: str) -> None:
        self._sent = False
        self._attempt = attempt = asyncio.create_task(self._pregenerate(text))
        try:
            await asyncio.wait({attempt})
        finally:
            self._cancel()
            while not attempt.done():  # though we are cancelled twice
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({attempt})
            self._attempt = None
        error = None if attempt.cancelled() else attempt.exception()
        if isinstance(error, EngineDied):
            raise error
        if error is not None:
            log.debug("nothing was begun before SUBMIT: %s", type(error).__name__)

    async def _pregenerate(self, text: str) -> None:
        turn_prompt = await asyncio.shield(self._prompt)  # it is SUBMIT's too
        prompt: TokenIds = await self._backend.render(turn_prompt.final, text)
        if self._begun is not None and self._begun.prompt == prompt:
            return  # an earlier pause has brought it
        begun, place = self._pregeneration(text, prompt), self._warmer.locate()
        try:
            async with aclosing(self._request(begun, place, begun.asked_tokens, Priority.PREGENERATION)) as outputs:
                await self._hold_back(begun, place, outputs)
                async for output in outputs:  # SUBMIT has asked for it
                    self._take(begun, output)
        except EngineError as error:
            begun.failure = error
            raise
        finally:
            self._end(begun)

    async def _hold_back(self, begun: Pregeneration, place: Place, outputs: AsyncGenerator[Output, None]) -> None:
        """Wait for a turn and read until the end, the cap, or SUBMIT; in this time it may be stopped."""
        settings, admission, owner = self._backend.settings, place.replica.admission, self._owner
        plan = partial(self._plan, begun.prompt)
        async with admission.permit(Priority.PREGENERATION, owner.tenant, owner.session, plan) as turn:
            self._begin(begun, place)
            async with self._stopped_by(turn.revoked.wait(), self._backend.sleep(settings.pregeneration.seconds)):
                async for output in outputs:
                    if not begun.outputs:
                        admission.prefilled(turn, output.cached_tokens)
                    self._take(begun, output)
                    if begun.adopted:
                        return
                    if begun.over_cap:
                        begun.ended = True
                        await outputs.aclose()

    @asynccontextmanager
    async def _stopped_by(self, *causes: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
        """Stop what runs when one of these returns before the block does, unless SUBMIT has asked for it."""
        watches = [asyncio.create_task(cause) for cause in causes]
        for watch in watches:
            watch.add_done_callback(lambda done: None if done.cancelled() else self._stop())
        try:
            yield
        finally:
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)

    async def _answer(self, begun: Pregeneration, place: Place) -> AsyncGenerator[Output, None]:
        """Tell what is there as one output, then the rest as it comes, from a new request if need be."""
        answered = False
        try:
            while True:
                self._news.clear()
                if (output := begun.tell()) is not None:
                    yield output
                elif begun.ended:
                    break
                else:
                    await self._news.wait()
            if not begun.complete:
                if begun.told_ids and not begun.continuable:
                    raise begun.failure or EngineRefused("the engine stopped before the answer was complete")
                async with aclosing(self._request(begun, place, begun.rest_tokens, Priority.GENERATION)) as outputs:
                    async for output in outputs:
                        yield replace(output, cached_tokens=begun.cached_tokens) if begun.outputs else output
            answered = True
        finally:
            self._close(begun, answered=answered)

    def _plan(self, prompt: TokenIds, room: Room, now: float) -> Prefill | Wait:
        if self._planner.in_flight is not None:  # a warm of this session computes some of it
            return Wait.COMPUTED_BY_ANOTHER
        planned = Prefill(prompt, self._planner.frontier(prompt, now))
        return planned if planned.new_tokens <= room(planned.frontier) else Wait.NO_ROOM

    def _pregeneration(self, text: str, prompt: TokenIds) -> Pregeneration:
        info, settings = self._backend.info, self._backend.settings
        room = info.context_tokens - len(prompt)
        answer_tokens = min(self._sampling.max_tokens or info.default_answer_tokens or room, room)
        can_go_on = continuable(self._sampling, penalizes=info.penalizes)
        return Pregeneration(text, prompt, can_go_on, answer_tokens, settings.pregeneration.tokens)

    def _request(
        self, begun: Pregeneration, place: Place, max_tokens: int, priority: Priority
    ) -> AsyncGenerator[Output, None]:
        """Ask for what follows the prompt and what was told of its answer."""
        ids = [*begun.prompt.to_list(), *begun.told_ids]
        sampling = replace(self._sampling, max_tokens=max_tokens)
        request = Request(ids, sampling, priority, self._owner.cache_salt, place.route)
        return place.replica.engine.generate(request)

    def _begin(self, begun: Pregeneration, place: Place) -> None:
        self._drop()
        self._sent = True
        self._begun, self.begun_at = begun, place
        self._guesses.begun()
        begun.believed_tokens = self._planner.frontier(begun.prompt, self._backend.clock())

    def _take(self, begun: Pregeneration, output: Output) -> None:
        if not begun.outputs:
            self._planner.move(self.begun_at.replica.blocks, self.begun_at.cache_partition)
            self._planner.hold(begun.prompt, self._backend.clock())
        begun.take(output)
        self._news.set()

    def _withdraw(self) -> None:
        """Give up what waits for its turn."""
        if not self._sent:
            self._cancel()

    def _stop(self) -> None:
        """Stop what runs, unless SUBMIT has asked for it; what it made may be kept."""
        if self._begun is not None and not self._begun.adopted and not self._begun.ended:
            self._begun.ended = True
            self._cancel()

    def _cancel(self) -> None:
        if self._attempt is not None and not self._attempt.cancelling():  # a second time would cut its clean-up short
            self._attempt.cancel()

    def _end(self, begun: Pregeneration) -> None:
        begun.ended = True
        self._news.set()
        if self._begun is begun and not begun.adopted and not begun.adoptable:
            self._drop()

    def _drop(self) -> None:
        """Give up what is begun, if anything is."""
        if self._begun is not None:
            self._close(self._begun, answered=False)

    def _close(self, begun: Pregeneration, *, answered: bool) -> None:
        """Close the books on what was begun."""
        if self._begun is not begun:
            return
        self._begun = None
        if not begun.ended:
            begun.ended = True
            self._cancel()
        adopted, discarded = begun.split(answered=answered)
        self._ledger.generated(adopted=adopted, discarded=discarded)
        found, place = begun.cached_tokens, self.begun_at
        if begun.failure is not None and not begun.outputs:
            self._ledger.pregenerated(begun.prompt, None, new_tokens=len(begun.prompt) - begun.believed_tokens)
        else:  # where it was stopped early, nobody knows how far it came: all that it was to compute is booked
            self._ledger.pregenerated(begun.prompt, begun.believed_tokens if found is None else found, place)
