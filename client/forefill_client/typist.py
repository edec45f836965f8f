"""A simulated user at one session: types a text, submits it, and takes in the answer."""

import asyncio
from collections.abc import Awaitable, Callable

from .keystrokes import FlushRule, InferenceConsumer, KeystrokeEvent, KeystrokeSimulator
from .report import Report
from .session import Session


async def type_and_submit(
    session: Session,
    text: str,
    *,
    mean_delay_ms: float,
    std_delay_ms: float,
    typo_rate: float,
    seed: int | None,
    on_event: Callable[[KeystrokeEvent], Awaitable[None]] | None = None,
    on_delta: Callable[[str], None] | None = None,
) -> tuple[str, Report]:
    """Type a text at the pace of a person, flush at every word boundary, submit, and return answer and report.

    The session must have been made with `auto_flush=False`; it ends.
    """
    queue: asyncio.Queue[KeystrokeEvent] = asyncio.Queue()
    simulator = KeystrokeSimulator(
        queue,
        mean_delay_ms=mean_delay_ms,
        std_delay_ms=std_delay_ms,
        typo_rate=typo_rate,
        seed=seed,
        flush_rule=FlushRule.WORD,
    )
    consumer: InferenceConsumer[Report] = InferenceConsumer(queue, session, on_delta=on_delta)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(simulator.simulate_typing(text, on_event=on_event))
            tasks.create_task(consumer.run())
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    if consumer.report is None:
        raise RuntimeError("the typist did not submit")
    return consumer.answer, consumer.report
