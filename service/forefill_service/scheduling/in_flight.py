"""The work of one engine as far as it is known, and the room that it leaves for more speculation.

a generation waits for its first token     nothing speculative starts
answers run, or it is not known            pieces that add at most `busy_seconds` to a step, all of one step together
nothing else runs                          pieces that add at most `idle_seconds`, all in flight together

Within these budgets a piece is as large as it is needed (`deadlines`), in whole blocks, and at least one block.

If not even one block fits, the engine is so slow that nothing would go on: then one block starts all the same, alone.
Beside answers the next one waits until steps without a piece have made up for it, so that steps are no more than
`busy_seconds` longer on average.

The engine makes one step after the other, so what is sent while one runs waits for the next. A piece is taken to run,
no longer to wait, once a step has ended since it was sent: if another piece has ended, or if it was sent longer ago
than a step takes. Then the next may be sent, for the step after that: so steps are lengthened evenly, rather than every
other one twice as much.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..cache.prefill import Prefill
from ..engine.base import Engine, Priority
from .prefill_times import PrefillTimes

STEPS_TO_WAIT = 2.0
"""A piece is taken to run after so many steps without one: a step is longer if many answers run."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for speculative work on one engine.

    `busy_seconds` and `idle_seconds` bound what all pieces in flight add to a step, `piece_tokens` one piece,
    `in_flight` and `pregenerations` their numbers, and `wait_seconds` how long one waits before it is shed.
    """

    busy_seconds: float = 0.05
    idle_seconds: float = 0.15
    piece_tokens: int = 2048
    in_flight: int = 4
    pregenerations: int = 2
    wait_seconds: float = 5.0


@dataclass(eq=False, slots=True)
class Permit:
    """Speculative work that may start; `prefill` is None if nothing was left to do.

    `alone` says that nothing else has run on the engine since it started, `runs` that it no longer waits for a step;
    `revoked` is set when the work must stop.
    """

    priority: Priority
    prefill: Prefill | None
    began_at: float
    added_seconds: float = 0.0
    alone: bool = False
    runs: bool = False
    revoked: asyncio.Event = field(default_factory=asyncio.Event)


class InFlight:
    """The permits and generations on one engine now. Times are seconds of one clock."""

    def __init__(self, engine: Engine, limits: Limits, times: PrefillTimes) -> None:
        self._engine = engine
        self._limits = limits
        self._times = times
        self._prefilling: set[Permit] = set()
        self._pregenerating: set[Permit] = set()
        self._generations = 0
        self._without_first_token = 0
        self._made_up_at = -math.inf
        """When steps without a piece have made up for the last one that was too large."""

    @property
    def speculative(self) -> int:
        """The number of warms and pre-generations in the engine."""
        return len(self._prefilling | self._pregenerating)

    @property
    def pregenerations(self) -> int:
        """The number of pre-generations in the engine."""
        return len(self._pregenerating)

    @property
    def generations(self) -> int:
        """The number of generations of our own in the engine."""
        return self._generations

    @contextmanager
    def generation(self, now: float) -> Iterator[Callable[[float], bool]]:
        """Count a generation for the duration of the block, and revoke the warms that would share its first step.

        Call the yielded function with the time of each token of the answer: it returns whether that lets more start.
        """
        waits = True

        def token(at: float) -> bool:
            nonlocal waits
            was_first, waits = waits, False
            self._without_first_token -= was_first
            return self._step_ended(at) or was_first

        self._generations += 1
        self._without_first_token += 1
        self._mark_shared()
        self.notice_steps(now)
        for permit in self._prefilling - self._pregenerating:
            if not permit.runs:
                permit.revoked.set()
        try:
            yield token
        finally:
            self._generations -= 1
            self._without_first_token -= waits

    def has_slot(self, priority: Priority) -> bool:
        """Return whether one more piece of speculative work may start, if it is small enough."""
        if self._without_first_token or len(self._prefilling) >= self._limits.in_flight:
            return False
        return priority is not Priority.PREGENERATION or self.pregenerations < self._limits.pregenerations

    def largest(self, cached_tokens: int) -> float:
        """Return how many new tokens a piece may compute after this many cached ones, if no other is in flight."""
        most = min(self._tokens(self.budget_seconds, cached_tokens), self._limits.piece_tokens)
        return max(most, self._block_size)  # even on an engine this slow, something must go on

    def room(self, cached_tokens: int, now: float, needed_seconds: float = math.inf) -> int:
        """Return how many new tokens a piece may compute now after this many cached ones.

        `needed_seconds` is what the pieces of one step have to add to it; without it the budget is used up.
        """
        if self._answers_run and now < self._made_up_at:
            return 0
        most = self.largest(cached_tokens)
        if self._prefilling:
            most = min(most, self._tokens(self.budget_seconds - self._ahead_seconds, cached_tokens))
        needed = self._tokens(needed_seconds - self._ahead_seconds, cached_tokens)
        if needed >= most:
            return int(most)
        blocks = needed / self._block_size
        whole = math.floor(blocks) if self._ahead_seconds else max(1, math.ceil(blocks))
        return int(min(most, whole * self._block_size))

    def start(self, priority: Priority, prefill: Prefill, now: float) -> Permit:
        """Count a prefill as in flight, and return the permit for it."""
        alone = not (self._prefilling or self._pregenerating or self._answers_run)
        added_seconds = self._times.added_seconds(prefill.new_tokens, prefill.frontier)
        permit = Permit(priority, prefill, now, added_seconds, alone, runs=self.is_quiet and not self._prefilling)
        self._mark_shared()
        if self._answers_run and added_seconds > self._limits.busy_seconds:
            steps = added_seconds / self._limits.busy_seconds
            self._made_up_at = now + added_seconds + steps * self._times.step_seconds
        self._prefilling.add(permit)
        if priority is Priority.PREGENERATION:
            self._pregenerating.add(permit)
        return permit

    def prefilled(self, permit: Permit, cached_tokens: int | None, now: float) -> bool:
        """Record that the prompt of a permit is computed, and learn its time; return False if that is not news."""
        if permit not in self._prefilling:
            return False
        self._prefilling.remove(permit)
        self._step_ended(now)
        if permit.alone and permit.prefill is not None and cached_tokens is not None:
            computed = len(permit.prefill.prefix) - cached_tokens
            self._times.observe(computed, cached_tokens, now - permit.began_at)
        return True

    def end(self, permit: Permit) -> None:
        """Record that the work of a permit is over."""
        self._prefilling.discard(permit)
        self._pregenerating.discard(permit)

    def revoke_pregenerations(self) -> None:
        """Ask every pre-generation to stop."""
        for permit in self._pregenerating:
            permit.revoked.set()

    def notice_steps(self, now: float) -> None:
        """Take the pieces that wait for a step to run, if one without pieces must have ended since they were sent."""
        if not any(permit.runs for permit in self._prefilling):
            self._run(now - self._step_seconds)

    def next_step_at(self) -> float | None:
        """Return when the pieces that wait for a step are taken to run, None if that is not known or none waits."""
        if not self._prefilling or any(permit.runs for permit in self._prefilling):
            return None
        return max(permit.began_at for permit in self._prefilling) + self._step_seconds

    @property
    def _step_seconds(self) -> float:
        return STEPS_TO_WAIT * self._times.coefficients.fixed

    @property
    def is_quiet(self) -> bool:
        """Whether no answer runs, as far as is known."""
        return not self._answers_run and self._engine.load.others is not None

    @property
    def budget_seconds(self) -> float:
        """What pieces may add now."""
        return self._limits.idle_seconds if self.is_quiet else self._limits.busy_seconds

    @property
    def _ahead_seconds(self) -> float:
        """What other pieces add to the step that the next one is for; if no answer runs, to all before its end."""
        quiet = self.is_quiet
        return sum(permit.added_seconds for permit in self._prefilling if quiet or not permit.runs)

    @property
    def _block_size(self) -> int:
        return self._engine.info.block_size

    def _tokens(self, seconds: float, cached_tokens: int) -> float:
        return self._times.tokens_within(seconds, cached_tokens)

    def _step_ended(self, now: float) -> bool:
        """Take the pieces that waited for the end of this step to run; return whether there are any.

        What was sent just now is because of this very end, of which each answer has a token.
        """
        return self._run(now - self._times.coefficients.fixed / 2)

    def _run(self, sent_before: float) -> bool:
        begun = [permit for permit in self._prefilling if not permit.runs and permit.began_at < sent_before]
        for permit in begun:
            permit.runs = True
        return bool(begun)

    @property
    def _answers_run(self) -> bool:
        """Whether an answer runs, as far as is known: the engine reports requests that are not ours."""
        return bool(self._generations or self._engine.load.others)

    def _mark_shared(self) -> None:
        for permit in self._prefilling:
            permit.alone = False
