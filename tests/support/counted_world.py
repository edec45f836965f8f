"""Several sessions on one engine with a meter, every wait of which a test releases; each closing of books is kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from unittest import mock

from forefill_service.engine import FakeChat
from forefill_service.fleet.backend import Backend
from forefill_service.fleet.metrics import Metrics
from forefill_service.serving.owner import Owner
from forefill_service.session.draft import checksum
from forefill_service.session.events import Flush, Open
from forefill_service.session.ledger import Balance
from forefill_service.session.likelihood import Typist
from forefill_service.settings import Settings

from .metered_engine import Count, MeteredEngine
from .stage import BLOCK, PAUSE_SECONDS, SYSTEM, UNHURRIED, Gate, RisingTypist, Stage, settle

R = TypeVar("R")
ANSWER_TOKENS = 5
SILENCE = 100 * PAUSE_SECONDS
"""After so long without a key, what a session holds is used once more."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The closing of one turn's books, and what the engine was asked for the session since the closing before."""

    session: str
    balance: Balance
    counts: tuple[Count, ...]


class World:
    """Sessions that share an engine and its service. Time passes by `tick` with each look at the clock."""

    def __init__(self, *, tick: float = 1.0, cache_blocks: int = 4096, context_tokens: int = 200) -> None:
        self.engine = MeteredEngine(
            block_size=BLOCK, context_tokens=context_tokens, cache_blocks=cache_blocks, answer_tokens=ANSWER_TOKENS
        )
        self.engine_gate, self.time_gate = Gate(), Gate()
        self.time_gate.held = True
        self.engine.chat_endpoint.wait = Gate()
        self.metrics = Metrics()
        self.sessions: list[Stage] = []
        self.closings: list[Closing] = []
        self._tick, self._time = tick, 0.0
        self._counted: dict[str, int] = {}
        flags: dict[str, Any] = {
            "pregeneration": True,
            "hand_off_url": ["http://vllm"],
            "touch_seconds": SILENCE / 2,
            "touch_limit_seconds": SILENCE * 10,
        }
        self.backend = Backend.of(
            [self.engine],
            Settings(**UNHURRIED | flags),
            self.metrics,
            self._render,
            typist=self._typist,
            clock=self._clock,
            sleep=self.time_gate,
        )

    async def opens(self, opening: Open | None = None) -> Stage:
        """Open one more session."""
        opening = opening or Open((SYSTEM,), session_key=f"session-{len(self.sessions)}")
        self.sessions.append(stage := Stage(opening, engine=self.engine, backend=self.backend))
        self.engine.sleep = self.engine_gate
        await settle()
        return stage

    async def flushes(self, stage: Stage) -> int:
        """Send FLUSH as a client does whose draft is the server's."""
        draft = stage.runner._session.draft
        return await stage.does(Flush(len(draft), checksum(draft)))

    async def pauses(self, index: int) -> None:
        """Let as much time pass as a pause takes, and one of those wake up that wait for some."""
        self._time += PAUSE_SECONDS
        self.time_gate.step(index)
        await settle()

    async def touches(self) -> None:
        """Let sessions be silent for so long that what they hold is used once more."""
        self._time += SILENCE
        self.backend.idle_refresher.touch_due()
        await settle()

    async def steps(self, index: int, times: int = 1) -> None:
        """Let the engine go on with one of its requests."""
        for _ in range(times):
            self.engine_gate.step(index)
            await settle()

    async def comes_to_rest(self) -> None:
        for gate in (self.engine_gate, *(stage.client_gate for stage in self.sessions)):
            gate.open()
        for _ in range(5):
            await settle()

    def samples(self, name: str) -> dict[str, float]:
        """Return the values of a metric by its label, "" if it has none."""
        return {
            next(iter(sample.labels.values()), ""): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == f"forefill_{name}"
        }

    def close_books(self, session: str, balance: Balance) -> None:
        """Keep a closing with what the engine was asked since the one before."""
        begin, self._counted[session] = self._counted.get(session, 0), len(self.engine.counts)
        counts = tuple(count for count in self.engine.counts[begin:] if count.request.route == f"/{session}")
        self.closings.append(Closing(session, balance, counts))

    def _clock(self) -> float:
        self._time += self._tick
        return self._time

    def _typist(self, tenant: str) -> Typist:
        return RisingTypist()

    async def _render(self, function: Callable[..., R], *args: Any, line: object = None) -> R:
        await asyncio.sleep(0)
        return function(*args)


@asynccontextmanager
async def world(chat: FakeChat | None = None, **kwargs: Any) -> AsyncIterator[World]:
    """Keep every closing of books for the duration of the block, and end all sessions with it."""
    made = World(**kwargs)
    made.engine.chat_endpoint.chat = chat or made.engine.chat
    with _every_closing(made):
        try:
            yield made
        finally:
            for stage in made.sessions:
                stage.task.cancel()
            await asyncio.gather(*(stage.task for stage in made.sessions), return_exceptions=True)


@contextmanager
def _every_closing(made: World) -> Iterator[None]:
    book = Owner.book

    def kept(owner: Owner, balance: Balance) -> Balance:
        made.close_books(owner.session, balance)
        return book(owner, balance)

    with mock.patch.object(Owner, "book", kept):
        yield
