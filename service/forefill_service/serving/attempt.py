"""One pre-generation on its way: its stage, its request, its books, and its answer if SUBMIT adopts it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ..cache.view import CacheView
from ..chat.generation import Output, Sampling
from ..engine import Priority, Request
from ..errors import EngineRefused
from ..fleet.replicas import Place
from ..session.pregeneration import Happening, Pregeneration, Stage
from .owner import Owner
from .tasks import cancel_once
from .turn import Turn


@dataclass(eq=False, slots=True)
class Attempt:
    """A pre-generation; it keeps the turn, the place and the view that it was begun for."""

    owner: Owner
    sampling: Sampling
    turn: Turn
    place: Place
    view: CacheView
    begun: Pregeneration
    task: asyncio.Task[None] | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self.begun.stage is Stage.CLOSED

    def sees(self, happening: Happening) -> None:
        """Let something happen to it: abort its request if it must be stopped, close its books if it is over."""
        before = self.begun.stage
        must_stop = self.begun.happens(happening)
        if must_stop and self.task is not None:
            cancel_once(self.task)
        if self.closed and before not in (Stage.ASKED, Stage.CLOSED):
            self._close_books(answered=happening is Happening.ANSWERED)
        self._changed.set()

    def take(self, output: Output) -> None:
        """Take what the engine made next; with the first of it, its prompt is computed."""
        if not self.begun.outputs:
            self.view.hold(self.begun.prompt, self.owner.backend.clock())
        self.begun.take(output)
        self._changed.set()

    def request(self, place: Place, max_tokens: int, priority: Priority) -> AsyncGenerator[Output, None]:
        """Ask an engine for what follows the prompt and what was released of its answer."""
        ids = [*self.begun.prompt.to_list(), *self.begun.released_ids]
        sampling = replace(self.sampling, max_tokens=max_tokens)
        return place.replica.engine.generate(Request(ids, sampling, priority, self.owner.cache_salt, place.route))

    async def answer(self, place: Place) -> AsyncGenerator[Output, None]:
        """Yield what is there as one output, then the rest as it comes, if need be from a new request at `place`.

        Raises EngineError if the rest is not to be had.
        """
        begun, end = self.begun, Happening.STREAM_CUT
        try:
            while True:
                self._changed.clear()
                if (output := begun.release()) is not None:
                    yield output
                elif begun.ended:
                    break
                else:
                    await self._changed.wait()
            if not begun.complete:
                if begun.released_ids and not begun.continuable:
                    raise begun.failure or EngineRefused("the engine stopped before the answer was complete")
                async with aclosing(self.request(place, begun.rest_tokens, Priority.GENERATION)) as outputs:
                    async for output in outputs:
                        yield replace(output, cached_tokens=begun.cached_tokens) if begun.outputs else output
            end = Happening.ANSWERED
        finally:
            self.sees(end)

    def _close_books(self, *, answered: bool) -> None:
        begun, ledger = self.begun, self.turn.ledger
        adopted, discarded = begun.adopted_and_discarded(answered=answered)
        ledger.generated(adopted=adopted, discarded=discarded)
        found = begun.cached_tokens
        if begun.failure is not None and not begun.outputs:
            ledger.pregenerated(begun.prompt, None, new_tokens=len(begun.prompt) - begun.believed_tokens)
        else:  # if it was stopped early, how far it came is unknown: all that it was to compute is booked
            ledger.pregenerated(begun.prompt, begun.believed_tokens if found is None else found, self.place)
