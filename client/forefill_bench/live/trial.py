"""Runs one trial of one arm: prepares what is to be cached, plays its scripts, and takes in the answers."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from forefill_client.session import Session

from ..report.results import Served, from_reply
from ..typing import texts
from ..typing.arms import Arm, Prepared
from ..typing.schedule import Trial
from ..typing.script import Script
from .plain import REQUEST_TIMEOUT_SECONDS, ForefillPlainClient, Message
from .player import flush_of, open_session, play
from .targets import BenchTargets


async def run_trial(targets: BenchTargets, trial: Trial) -> list[Served]:
    """Run one session, and return what each of its turns cost; raises ForefillError and TimeoutError."""
    arm, talk = trial.arm, [targets.system(trial)]
    min_tokens = targets.max_tokens if trial.workload.has_long_answers else None
    results = []
    async with AsyncExitStack() as stack:
        session: Session | None = None
        for script in trial.scripts:
            await prepare(targets, arm, talk, script[-1].draft)
            if not arm.over_http and (session is None or arm.stays_uncached):
                session = await stack.enter_async_context(
                    open_session(targets.forefill(arm), arm, talk, targets.max_tokens, min_tokens=min_tokens)
                )
            begins_at = targets.clock.now()
            served = await serve(targets, arm, session, talk, script, begins_at)
            results.append(served)
            talk += [("user", script[-1].draft), ("assistant", served.text)]
            if arm.stays_uncached:
                talk[0] = targets.system(trial)
    return results


async def prepare(targets: BenchTargets, arm: Arm, talk: Sequence[Message], text: str) -> None:
    """Have cached what the arm wants cached before the user types, by a request that is not measured."""
    if arm.prepared is not Prepared.NOTHING:
        asked = text if arm.prepared is Prepared.WHOLE else texts.READY
        await targets.plain(arm).ask(talk, asked, 1)


async def serve(
    targets: BenchTargets,
    arm: Arm,
    session: Session | None,
    talk: Sequence[Message],
    script: Script,
    begins_at: float,
) -> Served:
    """Serve one SUBMIT: play its script in `session`, or without one ask vLLM's endpoint when Enter is due."""
    if session is not None:
        flush = flush_of(arm, session, ForefillPlainClient(targets.client, targets.clock), talk)
        return await play(session, script, begins_at, targets.clock, flush)
    due_at = begins_at + script[-1].at_ms / 1000
    await targets.clock.until(due_at, spin=True)
    async with asyncio.timeout(REQUEST_TIMEOUT_SECONDS):
        return from_reply(await targets.plain(arm).ask(talk, script[-1].draft, targets.max_tokens), due_at)
