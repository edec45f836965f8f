"""Plays what is planned at its instants, on any clock: on real servers, in the simulation, and in load tests."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


async def run_counted(
    works: list[tuple[Coroutine[Any, Any, None], bool]], window: Coroutine[Any, Any, None], tick: Callable[[], None]
) -> None:
    """Run works, counted or not, all at once; once the counted ones and the window are over, cut off the others.

    `tick` is called every second; what it raises ends the run.
    """
    tasks = [(asyncio.create_task(work), counted) for work, counted in works]
    over = asyncio.create_task(window)
    awaited = {over, *(task for task, counted in tasks if counted)}
    try:
        while awaited:
            tick()
            done, awaited = await asyncio.wait(awaited, timeout=1.0)
            for task in done:
                task.result()
    finally:
        for task in (over, *(task for task, _ in tasks)):
            task.cancel()
        await asyncio.gather(*(task for task, _ in tasks), return_exceptions=True)
