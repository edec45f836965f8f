"""Warms for one session: renders what a FLUSH confirmed, asks the planner, sends, and answers the FLUSH.

One task does it all in turn, so a session never has two warms in flight, and a FLUSH that comes meanwhile only replaces
what is warmed next: the latest wins. Whatever fails here costs speed alone; nothing is raised but the engine's death.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from .engine import Engine, warm
from .errors import EngineError, EngineUnavailable, Refusal
from .ledger import Balance, Ledger
from .planner import Planner, Warm
from .prompt import TurnPrompt
from .responses import FlushOutcome, FlushResult
from .session import Confirm
from .token_ids import TokenIds

log = logging.getLogger(__name__)

Render = Callable[..., Awaitable[Any]]
"""Runs a function of `prompt` off the event loop."""


class Warmer:
    """The warms of one session.

    `answer` sends a FlushResult. Where `active` is false nothing is ever warmed, and each FLUSH is answered with that.
    """

    def __init__(
        self,
        engine: Engine,
        planner: Planner,
        render: Render,
        answer: Callable[[FlushResult], Awaitable[None]],
        *,
        cache_salt: str | None,
        active: bool,
    ) -> None:
        self._engine = engine
        self._planner = planner
        self._render = render
        self._answer = answer
        self._cache_salt = cache_salt
        self._active = active
        self._ledger = Ledger()
        self._prompt: Awaitable[TurnPrompt]  # set by `begin_turn`
        self._next: Confirm | None = None
        self._current: Confirm | None = None
        self._in_flight: asyncio.Task[int] | None = None
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()

    def begin_turn(self, prompt: Awaitable[TurnPrompt]) -> None:
        """Take the prompts of a new turn; they may still be in the making."""
        self._prompt = prompt

    async def confirm(self, confirm: Confirm) -> None:
        """Warm what is confirmed now instead of what was to be warmed before; `seq` 0 is answered to nobody."""
        if not self._active:
            await self._tell(confirm, FlushOutcome.INERT)
            return
        await self.stop_wanting()
        self._next = confirm
        self._wake.set()

    async def stop_wanting(self) -> None:
        """Send nothing more for what is confirmed so far; the warm in flight goes on."""
        waiting, self._next, self._current = self._next, None, None
        self._planner.drop_wants()
        if waiting is not None:
            await self._tell(waiting, FlushOutcome.DEFERRED)

    def submit(self, prompt: TokenIds) -> None:
        """Make way for the generation of this prompt: a warm in flight that is no prefix of it is dropped."""
        if self._planner.submit(prompt) and self._in_flight is not None:
            self._in_flight.cancel()

    async def settle(self, prompt: TokenIds, cached_tokens: int, output_ids: list[int]) -> Balance:
        """Close the turn's books on its answer; what the generation computed is held from now on."""
        if self._in_flight is not None:
            self._in_flight.cancel()
            await self._idle.wait()
        self._planner.hold(prompt.extended(output_ids[:-1]))  # the last token was never computed on
        return self._ledger.settle(prompt, cached_tokens)

    def abandon(self) -> Balance:
        """Close the books of a turn that nobody submitted."""
        return self._ledger.abandon()

    async def run(self) -> None:
        """Warm until cancelled. Raises EngineUnavailable where the engine is dead."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._next is not None:
                self._current, self._next = self._next, None
                await self._warm_for(self._current)

    async def _warm_for(self, confirm: Confirm) -> None:
        try:
            stable: TokenIds = await self._render((await self._prompt).stable, confirm.confirmed)
        except Exception as error:  # where it is more than a warm's problem, SUBMIT will say so
            log.debug("nothing to warm: %s", error.reason.name if isinstance(error, Refusal) else type(error).__name__)
            await self._tell(confirm, FlushOutcome.SHED)
            return
        if self._current is confirm:
            self._planner.want(stable)
        computed, outcome = 0, FlushOutcome.NOTHING_NEW
        while self._planner.goal(stable) > self._planner.frontier(stable):
            planned = self._planner.next_warm()
            if planned is None:  # something came first that made it want nothing
                outcome = FlushOutcome.DEFERRED
                break
            tokens = await self._send(planned)
            if tokens is None:
                outcome = FlushOutcome.SHED if self._current is confirm else FlushOutcome.DEFERRED
                break
            computed, outcome = computed + tokens, FlushOutcome.WARMED
        await self._tell(confirm, outcome, stable, computed)

    async def _send(self, planned: Warm) -> int | None:
        """Have one warm computed; return its computed tokens, or None where it was dropped or failed."""
        task = asyncio.create_task(warm(self._engine, planned.prefix.to_list(), self._cache_salt))
        self._in_flight = task
        self._idle.clear()
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            while not task.done():  # though we are cancelled twice: what was computed is booked
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({task})
            computed = self._book(planned, task)
            self._in_flight = None
            self._idle.set()
        if isinstance(error := None if task.cancelled() else task.exception(), EngineUnavailable):
            raise error
        return computed

    def _book(self, planned: Warm, task: asyncio.Task[int]) -> int | None:
        if task.cancelled():  # nobody knows how far it came: all that it was to compute is booked
            self._planner.failed()
            self._ledger.warmed(planned.prefix, planned.frontier)
            return None
        if error := task.exception():
            log.debug("a warm failed: %s", error, exc_info=None if isinstance(error, EngineError) else error)
            self._planner.failed()
            self._ledger.failed(planned.new_tokens)
            return None
        self._planner.warmed()
        return self._ledger.warmed(planned.prefix, task.result())

    async def _tell(
        self, confirm: Confirm, outcome: FlushOutcome, stable: TokenIds | None = None, computed: int = 0
    ) -> None:
        if not confirm.seq:
            return
        tokens = (len(stable), self._planner.frontier(stable)) if stable is not None else (0, 0)
        await self._answer(FlushResult(confirm.seq, len(confirm.confirmed), outcome, *tokens, computed))
