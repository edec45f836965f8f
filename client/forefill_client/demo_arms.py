"""The ways of serving one and the same SUBMIT that the demo compares; `bench` has all of them.

    cold      nothing is cached
    static    the base prompt is cached, as plain prefix caching gives to the second user of a shared prompt
    typed     forefill: the text is warmed while it is typed

Each arm opens a stream of its own whose cached blocks no other stream can hit, so that arms can be interleaved in any
order, and all send the same prompt.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from .client import AsyncClient
from .options import CacheScope, MessageLike, PregenerationMode, Sampling, WarmMode
from .report import Report
from .session import Session
from .typist import type_and_submit

GREEDY: Final = Sampling(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, over what, and how it is typed."""

    text: str
    #: The conversation before it.
    messages: tuple[MessageLike, ...] = ()
    sampling: Sampling = GREEDY
    mean_delay_ms: float = 150.0
    std_delay_ms: float = 50.0
    typo_rate: float = 0.0
    #: Makes the typing repeatable.
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One answer."""

    text: str
    report: Report


Arm = Callable[[AsyncClient, Question], Awaitable[Outcome]]


async def cold(client: AsyncClient, question: Question) -> Outcome:
    """Submit at once, with warming off."""
    async with _session(client, question, WarmMode.OFF) as session:
        return await _submit(session, question.text)


async def static(client: AsyncClient, question: Question) -> Outcome:
    """Submit the whole text at once when the base prompt is warm."""
    async with _session(client, question, WarmMode.AUTO) as session:
        await session.flushed(await session.flush())  # of the empty draft: all that there is to warm is the base prompt
        return await _submit(session, question.text)


async def typed(client: AsyncClient, question: Question) -> Outcome:
    """Type the text, flush at every word boundary, and submit."""
    async with _session(client, question, WarmMode.AUTO) as session:
        text, report = await type_and_submit(
            session,
            question.text,
            mean_delay_ms=question.mean_delay_ms,
            std_delay_ms=question.std_delay_ms,
            typo_rate=question.typo_rate,
            seed=question.seed,
        )
        return Outcome(text, report)


ARMS: Final[dict[str, Arm]] = {"cold": cold, "static": static, "typed": typed}
"""Every arm by its name."""


def _session(client: AsyncClient, question: Question, warm_mode: WarmMode) -> Session:
    return client.session(
        question.messages,
        sampling=question.sampling,
        warm_mode=warm_mode,
        cache_scope=CacheScope.SESSION,
        pregeneration=PregenerationMode.OFF,
        auto_flush=False,
    )


async def _submit(session: Session, text: str) -> Outcome:
    answer = await session.submit(text)
    return Outcome(await answer.text(), answer.report)
