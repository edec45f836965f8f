"""The four arms of the demo: each question on a stream of its own, whose cached blocks no other stream can hit.

So arms can be interleaved in any order, and all send the very same prompt. `bench` instead puts a nonce before each
prompt, and prepares `static` by another user's request, which a stream that shares no cache would not find.

All arms press Enter at the same instant of the same typing. `cold` and `static`, which have no use for the keys, wait
for as long as they take, so that their engine has been idle before Enter like anyone's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from forefill_client.client import AsyncClient
from forefill_client.options import CacheScope, WarmMode

from .demo_questions import REST_MS
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


async def ask(client: AsyncClient, arm: Arm, question: Question, clock: Clock | None = None) -> Served:
    """Ask a question in one of DEMO_ARMS; an arm that warms nothing submits the whole text when Enter is due."""
    clock = clock or Clock()
    is_prepared = arm.prepared is Prepared.BASE
    warming = replace(arm, warm_mode=WarmMode.AUTO) if is_prepared else arm
    session = open_session(client, warming, question.talk, question.max_tokens, CacheScope.SESSION)
    async with session:
        begins_at = clock.now()
        if is_prepared:
            await session.flushed(await session.flush())  # of the empty draft: the base prompt is all there is to warm
            # It is prepared while the keys are waited for.
            begins_at = max(begins_at, clock.now() + (REST_MS - question.script[-1].at_ms) / 1000)
        script = question.script if arm.warms else question.script[-1:]
        flush = SessionFlush(session) if arm.warms else Flush()
        return await play(session, script, begins_at, clock, flush, timeout_seconds=None)
