"""The four arms of the demo: each question on a stream of its own, whose cached blocks no other stream can hit.

So arms can be interleaved in any order, and all send the very same prompt. `bench` instead puts a nonce before each
prompt, and prepares `static` by another user's request, which a stream that shares no cache would not find.

All arms press Enter at the same instant of the same typing. `cold` and `static`, which have no use for the keys, wait
for as long as they take, so that their engine has been idle before Enter like anyone's. The arms that have the prompt
cached before Enter open the box as long before the first key as that takes; `cold` has no use for that time either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from forefill_client.client import AsyncClient
from forefill_client.options import CacheScope, WarmMode

from .demo_questions import REST_MS, head_start_ms
from .live.clock import Clock
from .live.plain import Message
from .live.player import Flush, SessionFlush, open_session, play
from .report.results import Served
from .typing.arms import ARMS, Arm, Prepared
from .typing.script import Script
from .typing.workloads import BY_DEFAULT

_ALL: Final = (
    ARMS["cold"],
    ARMS["static"],
    replace(ARMS["typed"], name="warmed", about="forefill with pre-generation off"),
    replace(BY_DEFAULT, name="forefill"),
)
DEMO_ARMS: Final = {arm.name: arm for arm in _ALL}
"""The demo's arms by their names, in the order in which the table shows them."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its typing, and the conversation before it."""

    script: Script
    talk: Sequence[Message] = ()
    max_tokens: int = 32
    #: How long it takes to have the conversation cached, in milliseconds.
    reading_ms: float = 0.0


async def read(client: AsyncClient, question: Question, clock: Clock) -> float:
    """Answer a question at once, and return how many milliseconds it took to have its conversation cached before."""
    session = open_session(
        client, DEMO_ARMS["warmed"], question.talk, question.max_tokens, cache_scope=CacheScope.SESSION
    )
    async with session:
        began_at = clock.now()
        await session.flushed(await session.flush())
        reading_ms = (clock.now() - began_at) * 1000
        await play(session, question.script[-1:], clock.now(), clock, Flush(), timeout_seconds=None)
    return reading_ms


async def ask(client: AsyncClient, arm: Arm, question: Question, clock: Clock | None = None) -> Served:
    """Ask a question in one of DEMO_ARMS; an arm that warms nothing submits the whole text when Enter is due."""
    clock = clock or Clock()
    is_prepared = arm.prepared is Prepared.BASE
    warming = replace(arm, warm_mode=WarmMode.AUTO) if is_prepared else arm
    session = open_session(client, warming, question.talk, question.max_tokens, CacheScope.SESSION)
    async with session:
        begins_at = clock.now()
        if is_prepared or arm.warms:
            begins_at += head_start_ms(question.script, question.reading_ms) / 1000
        if is_prepared:
            await session.flushed(await session.flush())  # of the empty draft: the base prompt is all there is to warm
            # It is prepared while the keys are waited for.
            begins_at = max(begins_at, clock.now() + (REST_MS - question.script[-1].at_ms) / 1000)
        script = question.script if arm.warms else question.script[-1:]
        flush = SessionFlush(session) if arm.warms else Flush()
        return await play(session, script, begins_at, clock, flush, timeout_seconds=None)
