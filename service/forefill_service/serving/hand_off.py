"""Hand-offs of one session: the application asks the engine itself, and is told how its request finds what is cached.

    what happens                         what becomes of the hand-off
    the prompt cannot be made here       it is told without the prompt's length: the application's own request finds out
    it is finished or taken back         its books are closed, by what the application reports or by what is believed
    that comes before it was told        it is not told, and the books of its turn go on
    the session ends                     its books are closed by what is believed

Until the application's request is expected to have its first token, it counts as a generation at its place, so nothing
speculative starts there. Later the engine's own report of its load has it.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ..chat.token_ids import TokenIds
from ..errors import EngineDied, EngineError, Refusal, ServiceError
from ..fleet.replicas import Place
from ..session.actions import HandOver, Settle
from ..session.events import ReportedUsage
from ..session.ledger import Balance
from ..session.responses import CANCELLED, HANDED_OFF, GenerationFinished, HandedOff, Response
from .owner import Owner
from .prefiller import Prefiller
from .rendering import Verdict
from .tasks import Interrupted, Interruption
from .turn import Turn
from .warmer import Warmer

log = logging.getLogger(__name__)

ARRIVAL_SECONDS = 0.1
"""How long an application takes to send its request after it was told."""
MOST_SECONDS_TO_A_TOKEN = 2.0
"""The longest time for which a request that may never come keeps others from warming."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """The prompt of a hand-off, or, if not all of it is `known`, what it begins with; `cached_tokens` are believed."""

    prompt: TokenIds
    known: bool
    cached_tokens: int
    at: float

    @property
    def prompt_tokens(self) -> int:
        """Length of the prompt; 0 if only the engine knows it."""
        return len(self.prompt) if self.known else 0

    def cached_of(self, usage: ReportedUsage) -> int:
        """Return the tokens that the application's request found cached, as far as that can be true."""
        found = self.cached_tokens if usage.cached_tokens is None else usage.cached_tokens
        return min(found, usage.prompt_tokens or len(self.prompt))


@dataclass(eq=False, slots=True)
class OpenHandOff:
    """One hand-off that is not finished; times by the backend's clock. It is `rendered` when it can be told."""

    turn: Turn
    seq: int
    text: str
    place: Place
    received_at: float
    interruption: Interruption = field(default_factory=Interruption)
    rendered: Rendered | None = None

    def finished(self, reason: str, usage: ReportedUsage, ledger: Balance, now: float) -> GenerationFinished:
        """Return what the client is told at its end."""
        rendered, seconds = self.rendered, now - self.received_at
        return GenerationFinished(
            self.seq,
            reason,
            usage.prompt_tokens or (rendered.prompt_tokens if rendered else 0),
            rendered.cached_of(usage) if rendered else 0,
            usage.completion_tokens or 0,
            render_seconds=rendered.at - self.received_at if rendered else seconds,
            ttft_seconds=0.0,
            total_seconds=seconds,
            ledger=ledger,
        )


class HandOffs:
    """The hand-offs of one session, of which one at most is open; `send` delivers one response."""

    def __init__(
        self, owner: Owner, prefiller: Prefiller, warmer: Warmer, send: Callable[[Response], Awaitable[None]]
    ) -> None:
        self._owner = owner
        self._backend = owner.backend
        self._prefiller = prefiller
        self._warmer = warmer
        self._send = send
        self._open: OpenHandOff | None = None

    def begin(self, turn: Turn, hand_over: HandOver, received_at: float) -> OpenHandOff:
        """Return a new hand-off to `run`."""
        self._backend.metrics.handed_off()
        self._open = OpenHandOff(turn, hand_over.seq, hand_over.text, self._owner.route.now, received_at)
        return self._open

    async def run(self, hand_off: OpenHandOff) -> None:
        """Tell the client how to ask, and keep the engine free for its request, unless it ends before.

        Raises EngineDied, and the Refusal of a write.
        """
        with suppress(Interrupted), hand_off.place.replica.admission.generation() as token:
            with hand_off.interruption.here():
                hand_off.rendered = rendered = await self._rendered(hand_off)
            hand_off.turn.ledger.began(rendered.prompt, rendered.cached_tokens, hand_off.place)
            await self._send(self._handed_off(hand_off, rendered))
            with hand_off.interruption.here():
                await self._backend.sleep(self._seconds_to_first_token(hand_off.place, rendered))
            token()

    async def settle(self, settle: Settle, now: float) -> GenerationFinished:
        """Close the books of the open hand-off; return what the client is told."""
        if (hand_off := self._open) is None:
            raise RuntimeError("only what was handed off can be settled")
        self._open = None
        hand_off.interruption.ask()
        usage = settle.usage or ReportedUsage()
        reason = CANCELLED if settle.usage is None else HANDED_OFF
        balance = Balance()
        if (rendered := hand_off.rendered) is not None:
            await self._prefiller.stop()
            if settle.answered:
                self._learn(hand_off, rendered, usage, now)
            found = rendered.cached_of(usage)
            balance = self._owner.book(hand_off.turn.ledger.settle(rendered.prompt, found, hand_off.place))
        return hand_off.finished(reason, usage, balance, now)

    async def _rendered(self, hand_off: OpenHandOff) -> Rendered:
        """Return the prompt, as far as it can be made here, and let what is no part of it make way."""
        try:
            prompt = await hand_off.turn.prompts.ids(hand_off.text)
        except EngineDied:
            raise
        except (EngineError, Refusal) as error:
            log.debug("the prompt of a hand-off is not known here: %s", type(error).__name__)
            prompt = None
        known = prompt is not None
        if prompt is None:
            prompt = await self._beginning(hand_off)
        self._prefiller.make_way(prompt, whole=known)
        now, view = self._backend.clock(), self._owner.view(hand_off.place)
        findable = view.goal(prompt.prefix(len(prompt) - 1)) if known and len(prompt) else len(prompt)
        return Rendered(prompt, known, min(view.frontier(prompt, now), findable), now)

    async def _beginning(self, hand_off: OpenHandOff) -> TokenIds:
        """Return how a prompt begins that only the engine knows: all that a FLUSH of it would have warmed."""
        prompts = hand_off.turn.prompts
        if prompts.verdict is Verdict.CHECKING:  # nothing beyond that was warmed yet
            return prompts.lead
        try:
            return await prompts.stable(hand_off.text)
        except EngineDied:
            raise
        except ServiceError:
            return prompts.lead

    def _handed_off(self, hand_off: OpenHandOff, rendered: Rendered) -> HandedOff:
        replica, owner = hand_off.place.replica, self._owner
        return HandedOff(
            hand_off.seq,
            self._backend.hand_off_urls.base_url(replica.engine.name.partition("#")[0]),
            replica.engine.openai_headers(hand_off.place.route),
            owner.cache_salt or "",
            owner.adapter or self._backend.info.model,
            rendered.prompt_tokens,
            rendered.cached_tokens,
        )

    def _seconds_to_first_token(self, place: Place, rendered: Rendered) -> float:
        new_tokens = len(rendered.prompt) - rendered.cached_tokens
        seconds = place.replica.admission.times.request_seconds(new_tokens, rendered.cached_tokens, 1)
        return min(ARRIVAL_SECONDS + seconds, MOST_SECONDS_TO_A_TOKEN)

    def _learn(self, hand_off: OpenHandOff, rendered: Rendered, usage: ReportedUsage, now: float) -> None:
        """Record the prompt as computed, unless another one was sent, and the engine's time for its answer."""
        if rendered.known and usage.prompt_tokens in (None, len(rendered.prompt)):
            self._warmer.holds(hand_off.place, rendered.prompt)
        cached, times = rendered.cached_of(usage), hand_off.place.replica.admission.times
        prompt_tokens = max(cached, usage.prompt_tokens or len(rendered.prompt))
        seconds = times.request_seconds(prompt_tokens - cached, cached, usage.completion_tokens or 0)
        seconds = min(seconds, now - hand_off.received_at)  # a client may report anything
        hand_off.turn.ledger.answered(seconds)
        self._backend.guess_budget.answered(seconds, *self._owner.accounts)
