"""One pre-generation on its way: its stage, its requests, its books, and its answer if SUBMIT adopts it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ..cache.view import CacheView
from ..chat.generation import Output, Sampling
from ..chat.messages import Conversation
from ..chat.token_ids import TokenIds
from ..engine import Priority
from ..errors import EngineRefused
from ..fleet.replicas import Place
from ..session.ledger import PregenerationOutcome
from ..session.pregeneration import Happening, Pregeneration, Stage
from ..session.responses import PregenerationUpdate
from .owner import Owner
from .tasks import Ahead, cancel_once
from .turn import Turn


@dataclass(slots=True)
class Sent:
    """One request of it: the ids to compute, how many of them were believed and found cached, and what it made."""

    prefix: TokenIds
    believed_tokens: int
    after_submit: bool = False
    found_tokens: int | None = None
    made_tokens: int = 0

    def take(self, output: Output) -> None:
        """Take what it made next."""
        self.made_tokens += len(output.token_ids)
        if self.found_tokens is None:
            self.found_tokens = output.cached_tokens

    @property
    def cached_tokens(self) -> int:
        """Leading tokens that were cached, as far as is known."""
        return self.believed_tokens if self.found_tokens is None else self.found_tokens


@dataclass(eq=False, slots=True)
class Attempt:
    """A pre-generation; it keeps the turn, the place and the view that it was begun for.

    `conversation` is set if the engine's chat endpoint itself has to answer; it gets the request that SUBMIT would
    send. `tell` is told when it is begun, and what became of it.
    """

    owner: Owner
    sampling: Sampling
    turn: Turn
    place: Place
    view: CacheView
    begun: Pregeneration
    conversation: Conversation | None
    tell: Callable[[PregenerationUpdate], None]
    task: asyncio.Task[None] | None = None
    _sent: list[Sent] = field(default_factory=list)
    _adopted_seconds: float | None = None
    _charged_seconds: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return self.begun.stage is Stage.CLOSED

    @property
    def engine_seconds(self) -> float:
        """The engine's time for all that was asked for so far; an upper bound if a request was stopped."""
        times = self.place.replica.admission.times
        return sum(
            times.request_seconds(len(sent.prefix) - sent.cached_tokens, sent.cached_tokens, sent.made_tokens)
            for sent in self._sent
        )

    def sees(self, happening: Happening) -> None:
        """Let something happen to it: abort its request if it must be stopped, close its books if it is over."""
        before = self.begun.stage
        must_stop = self.begun.happens(happening)
        if must_stop and self.task is not None:
            cancel_once(self.task)
        if self.begun.adopted and self._adopted_seconds is None:
            self._adopted_seconds = self.engine_seconds
            self._charge(0.0)
        elif happening is Happening.EDIT and before is Stage.HELD:
            self._charge(self.engine_seconds)  # as good as wasted, unless its text comes back
        if self.closed and before not in (Stage.ASKED, Stage.CLOSED):
            self._close_books(happening)
        self._changed.set()

    @property
    def lead(self) -> TokenIds:
        """The ids that its next request follows: its prompt, and what was made of the answer."""
        return self.begun.prompt.extended(self.begun.lead_ids)

    def starts(self) -> None:
        """Record that its next request goes to the engine now."""
        lead = self.lead
        if not self._sent:
            self.tell(PregenerationUpdate())
        self._sent.append(Sent(lead, self.view.frontier(lead, self.owner.backend.clock())))
        self.sees(Happening.PERMIT)

    def take(self, output: Output) -> None:
        """Take what the engine made next; with the first of it, what it follows is computed."""
        sent = self._sent[-1]
        if not sent.made_tokens:
            self.view.hold(sent.prefix, self.owner.backend.clock())
        sent.take(output)
        self.begun.take(output)
        self._changed.set()

    def request(self, place: Place, max_tokens: int, priority: Priority) -> AsyncGenerator[Output, None]:
        """Ask an engine for what follows the prompt and what was made of its answer."""
        sampling = self.sampling
        if self.conversation is None:
            sampling = sampling.limited(max_tokens, made_tokens=len(self.begun.lead_ids))
        return self.owner.generate(place, self.lead, self.conversation, sampling, priority)

    async def answer(self, place: Place, *, apart: bool = False) -> AsyncGenerator[Output, None]:
        """Yield what is there as one output, then the rest as it comes, if need be from a new request at `place`.

        That one is sent before the last of what is there is yielded: nobody waits for it longer than it takes. With
        `apart`, what is there comes in the parts in which the engine made it. Raises EngineError if the rest is not to
        be had.
        """
        begun, rest, end = self.begun, None, Happening.STREAM_CUT
        try:
            while True:
                self._changed.clear()
                outputs = self._released(apart=apart)
                if rest is None and self._lacks_a_rest:
                    rest = Ahead(self._rest(place))
                for output in outputs:
                    yield output
                if outputs:
                    continue
                if rest is not None or begun.ended:
                    break
                await self._changed.wait()
            if rest is not None:
                async for output in rest:
                    yield output
            elif not begun.complete:
                raise begun.failure or EngineRefused("the engine stopped before the answer was complete")
            end = Happening.ANSWERED
        finally:
            if rest is not None:
                await rest.close()
            self.sees(end)

    def _released(self, *, apart: bool) -> list[Output]:
        if apart:
            return self.begun.release_apart()
        output = self.begun.release()
        return [] if output is None else [output]

    @property
    def _lacks_a_rest(self) -> bool:
        """Whether its request has ended before the answer did, and another may go on."""
        begun = self.begun
        over = begun.ended or begun.finish_reason is not None
        return over and not begun.complete and (begun.continuable or not begun.released_ids)

    async def _rest(self, place: Place) -> AsyncGenerator[Output, None]:
        lead, begun = self.lead, self.begun
        believed_tokens = self.view.frontier(lead, self.owner.backend.clock())
        self._sent.append(sent := Sent(lead, believed_tokens, after_submit=True))
        async with aclosing(self.request(place, begun.rest_tokens, Priority.GENERATION)) as outputs:
            async for output in outputs:
                sent.take(output)
                yield replace(output, cached_tokens=begun.cached_tokens) if begun.outputs else output

    def _close_books(self, happening: Happening) -> None:
        begun, ledger = self.begun, self.turn.ledger
        adopted, discarded = begun.adopted_and_discarded(answered=happening is Happening.ANSWERED)
        outcome, seconds = PregenerationOutcome.ADOPTED, self._adopted_seconds
        if seconds is None:
            outcome, seconds = _OUTCOMES.get(happening, PregenerationOutcome.UNUSED), self.engine_seconds
            self._charge(seconds)
        ledger.guessed(outcome, adopted=adopted, discarded=discarded, engine_seconds=seconds)
        self.tell(PregenerationUpdate(outcome, adopted + discarded, seconds))
        for sent in self._sent:
            if not sent.after_submit:
                self._book_prompt(sent)

    def _charge(self, seconds: float) -> None:
        """Charge the session's budget with this as wasted, in place of what it was charged with before."""
        self.owner.backend.guess_budget.wasted(seconds - self._charged_seconds, *self.owner.accounts)
        self._charged_seconds = seconds

    def _book_prompt(self, sent: Sent) -> None:
        """Book what a request computed of the prompt; if it was stopped early, all that it was to compute."""
        prompt, ledger = self.begun.prompt, self.turn.ledger
        if self.begun.failure is not None and not sent.made_tokens:
            ledger.pregenerated(prompt, None, new_tokens=max(0, len(prompt) - sent.believed_tokens))
        else:
            ledger.pregenerated(prompt, sent.cached_tokens, self.place)


_OUTCOMES = {
    Happening.EDIT: PregenerationOutcome.EDITED,
    Happening.SUPERSEDED: PregenerationOutcome.EDITED,
    Happening.SUBMIT_OTHER: PregenerationOutcome.SUBMITTED_OTHER,
    Happening.CAP: PregenerationOutcome.REVOKED,
    Happening.REVOKED: PregenerationOutcome.REVOKED,
    Happening.ENGINE_FAILED: PregenerationOutcome.FAILED,
    Happening.SUBMIT_SAME_ENGINE_LOST: PregenerationOutcome.FAILED,
}
"""What became of one that was closed by this, and not adopted."""
