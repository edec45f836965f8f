"""Watches an embedded vLLM: asks it something and looks at its processes, again and again. `vitals` has the rules."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, NoReturn, Protocol

from ...errors import EngineDied
from .vitals import Look, ProcessState, Vitals

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LOOK_SECONDS = 1.0


class Asked(Protocol):
    """vLLM, as far as it is asked."""

    @property
    def errored(self) -> bool:
        """Whether vLLM knows that its engine is dead."""

    async def is_sleeping(self) -> bool:
        """Ask its engine process, which answers between two steps. Raises what it likes if that is dead."""


class Processes(Protocol):
    """Its processes."""

    work_shows: bool

    def look(self, *, closely: bool) -> tuple[ProcessState, ...]:
        """Return the state of each."""


async def watch(
    vllm: Asked,
    processes: Processes,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> NoReturn:
    """Watch until vLLM is lost, and raise EngineDied then.

    A question takes a third of a millisecond, and does not wake the workers: after each message they spin for a second.
    """
    vitals = Vitals(processes.work_shows)
    question = asyncio.create_task(vllm.is_sleeping())
    try:
        while True:
            await sleep(LOOK_SECONDS)
            if question.done() and (error := question.exception()):
                raise EngineDied("vLLM's engine process has died") from error
            if vllm.errored:  # then nobody answers a question that was asked before
                raise EngineDied("vLLM's engine process has died")
            closely = not question.done()
            seen = await asyncio.to_thread(partial(processes.look, closely=closely))
            answered = question.done()
            if hang := vitals.hang(Look(clock(), answered, seen)):
                raise EngineDied(f"vLLM hangs: {hang}")
            if answered and question.exception() is None:
                question = asyncio.create_task(vllm.is_sleeping())
    finally:
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)
