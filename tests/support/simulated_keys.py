"""A simulated user on a clock that does not wait, and what came of it."""

import asyncio
from typing import Any

from forefill_client.keystrokes import EventType, KeystrokeEvent, KeystrokeSimulator


class Clock:
    """Stands in for asyncio.sleep: keeps what was asked for and lets others run."""

    def __init__(self) -> None:
        self.slept_ms: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept_ms.append(seconds * 1000)
        await asyncio.sleep(0)


def new_queue() -> asyncio.Queue[KeystrokeEvent]:
    return asyncio.Queue()


def drain(queue: asyncio.Queue[KeystrokeEvent]) -> list[KeystrokeEvent]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


def simulator_with(**options: Any) -> KeystrokeSimulator:
    return KeystrokeSimulator(new_queue(), **{"sleep": Clock().sleep, "seed": 1, **options})


def confirmed_by_flushes(events: list[KeystrokeEvent]) -> list[str]:
    return [event.confirmed_text for event in events if event.event_type is EventType.FLUSH]
