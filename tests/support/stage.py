"""One session on a fake engine, every wait of which the test releases: no clock, no wire, no thread."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from math import exp, log
from typing import Any, TypeVar

from forefill_service.access.caller import ANYBODY
from forefill_service.chat.messages import ChatMessage, Conversation
from forefill_service.engine import Engine, FakeEngine, Priority, Request
from forefill_service.errors import Refusal
from forefill_service.fleet.backend import Backend
from forefill_service.fleet.fair_queue import NOBODYS, Line
from forefill_service.fleet.metrics import Metrics
from forefill_service.fleet.replicas import Replica
from forefill_service.scheduling.guess_price import BASE_PRICE, LEAST_FACTOR
from forefill_service.serving.runner import SessionRunner
from forefill_service.session.draft import checksum, edited
from forefill_service.session.events import (
    CharAdd,
    CharDelete,
    Flush,
    KeystrokeEvent,
    Kind,
    Open,
    Replace,
    Submit,
    Unknown,
)
from forefill_service.session.guesses import GROWTH
from forefill_service.session.likelihood import Typist
from forefill_service.session.responses import FlushResult, GenerationDelta, GenerationFinished, Response, SessionError
from forefill_service.settings import Settings

BLOCK = 4
SYSTEM = ChatMessage("system", "one two three four five six seven eight nine ten eleven")
OPENING = Open((SYSTEM,))
FOREVER = 1e12
PAUSE_SECONDS = 1e6
LOWEST_PRICE = BASE_PRICE * LEAST_FACTOR * 1.001
"""Of a guess, with a hair more."""
UNHURRIED: dict[str, Any] = {
    "port": 0,
    "metrics_port": -1,
    "busy_gap_ms": FOREVER,
    "idle_gap_ms": FOREVER,
    "warm_wait_seconds": FOREVER,
    "assume_cached_seconds": FOREVER,
    "touch_seconds": 0,
    "pregeneration": False,
    "pregeneration_waste": FOREVER,
    "warm_pause_ms": PAUSE_SECONDS * 1000,
}
"""The stage's clock goes on a second each time it is read: nothing depends on time that a test does not ask for."""
TURNS_OF_THE_LOOP = 60
"""More than anything here needs to come to rest."""


class DecidedTypist(Typist):
    """A user who has the chance `p` to be done after a number of pauses, and none before."""

    def __init__(self, pauses: float = 1.0, p: float = 1 - 1e-9) -> None:
        super().__init__()
        self.pauses, self.p = pauses, p

    def p_end(self, silence_seconds: float) -> float:
        return self.p if silence_seconds >= self.pauses * PAUSE_SECONDS else 0.0

    def silence_until(self, p_end: float) -> float | None:
        return self.pauses * PAUSE_SECONDS if p_end <= self.p else None


class RisingTypist(Typist):
    """A user for whom one token is worth the lowest price after a pause, `GROWTH` after two, its square after three."""

    def p_end(self, silence_seconds: float) -> float:
        odds = LOWEST_PRICE * exp(log(GROWTH) * (silence_seconds / PAUSE_SECONDS - 1))
        return odds / (1 + odds)

    def silence_until(self, p_end: float) -> float | None:
        if p_end <= 0 or p_end >= 1:
            return None if p_end else 0.0
        return max(0.0, PAUSE_SECONDS * (1 + log(p_end / (1 - p_end) / LOWEST_PRICE, GROWTH)))


R = TypeVar("R")


async def settle() -> None:
    """Let the event loop turn until everything waits for a gate or an event."""
    for _ in range(TURNS_OF_THE_LOOP):
        await asyncio.sleep(0)


class Gate:
    """Where work waits for the test; `held` makes it wait, `closed` is raised in every caller.

    `asked` is what the callers passed, for example the seconds that they want to sleep.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.held = False
        self.closed: Exception | None = None
        self.waiting: list[asyncio.Future[None]] = []

    async def __call__(self, *asked: Any) -> None:
        self.asked.append(asked)
        if self.closed is not None:
            raise self.closed
        if not self.held:
            return
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        try:
            await turn
        finally:
            self.waiting.remove(turn)

    def step(self, index: int = 0) -> None:
        """Let one go on; the first to come if not told otherwise."""
        if self.waiting:
            turn = self.waiting[index % len(self.waiting)]
            if not turn.done():
                turn.set_result(None)

    def open(self) -> None:
        """Hold nothing any more."""
        self.held = False
        for turn in self.waiting:
            if not turn.done():
                turn.set_result(None)


class Stage:
    """A session, what it said, and the gates before the engine, the renderer and the client."""

    def __init__(
        self,
        opening: Open = OPENING,
        *,
        engine: FakeEngine | None = None,
        seam: Callable[[FakeEngine], Engine] = lambda engine: engine,
        inert_reason: str = "",
        piece_tokens: int = 1000,
        tenant: str = "",
        typist: Typist | None = None,
        backend: Backend | None = None,
        others: Sequence[FakeEngine] = (),
        **settings: Any,
    ) -> None:
        self.engine = engine or FakeEngine(block_size=BLOCK)
        self.engine_gate, self.render_gate, self.client_gate, self.time_gate = Gate(), Gate(), Gate(), Gate()
        self.time_gate.held = True  # whoever waits for a time to pass waits for the test
        self.engine.sleep = self.engine_gate
        self.engine.chat_endpoint.wait = self.engine.chat_endpoint.wait or self.render_gate
        self.said: list[Response] = []
        self.draft = opening.draft
        self.seq = 0
        self.opening = opening
        self.metrics = Metrics()
        self._time = 0.0
        self._events: asyncio.Queue[KeystrokeEvent | Open | Unknown | None] = asyncio.Queue()
        self._writes = asyncio.Lock()
        self.settings = Settings(**{**UNHURRIED, "warm_piece_tokens": piece_tokens, **settings})
        self.backend = backend or Backend.of(
            [seam(self.engine), *others],
            self.settings,
            self.metrics,
            self._render,
            typist=lambda tenant: typist or DecidedTypist(),
            clock=self.clock,
            sleep=self.time_gate,
        )
        if inert_reason:
            self.replica.inert_reason = inert_reason
        self.runner = SessionRunner(self.backend, opening, self._send, replace(ANYBODY, tenant=tenant))
        self.task = asyncio.create_task(self.runner.run(self._incoming()))

    @property
    def replica(self) -> Replica:
        """The engine as the session's service knows it."""
        return self.backend.replicas.all[0]

    def clock(self) -> float:
        self._time += 1
        return self._time

    async def _render(self, function: Callable[..., R], *args: Any, line: Line = NOBODYS) -> R:
        await self.render_gate()
        return function(*args)

    async def _send(self, response: Response) -> None:
        async with self._writes:
            self.said.append(response)  # a client may answer before our write returns
            await self.client_gate()

    async def _incoming(self) -> AsyncIterator[KeystrokeEvent | Open | Unknown]:
        while (event := await self._events.get()) is not None:
            yield event

    def put(self, kind: Kind) -> int:
        """Send an event; return its number."""
        self.seq += 1
        self._events.put_nowait(KeystrokeEvent(self.seq, kind))
        if isinstance(kind, CharAdd | CharDelete | Replace):
            self.draft = edited(self.draft, kind)[0]
        return self.seq

    async def does(self, kind: Kind) -> int:
        """Send an event and let everything come to rest."""
        seq = self.put(kind)
        await settle()
        return seq

    async def types(self, text: str) -> None:
        await self.does(CharAdd(text))

    async def flushes(self, confirmed: int | None = None) -> int:
        return await self.does(Flush(len(self.draft), checksum(self.draft), confirmed))

    async def pauses(self, share: float = 1.0) -> None:
        """Type nothing for this share of the pause in which an answer is begun."""
        self._time += share * PAUSE_SECONDS
        self.time_gate.step()
        await settle()

    async def submits(self, text: str | None = None) -> int:
        self.draft = ""
        return await self.does(Submit(text))

    async def hangs_up(self) -> None:
        """Close the stream without END."""
        self._events.put_nowait(None)
        await settle()

    def refusal(self) -> Refusal:
        """Return what ended the session."""
        error = self.task.exception()
        assert isinstance(error, Refusal), error
        return error

    def all(self, kind: type[R]) -> list[R]:
        """Return what was said of one kind, oldest first."""
        return [response for response in self.said if isinstance(response, kind)]

    def flush_result(self, seq: int) -> FlushResult:
        """Return the one answer to a FLUSH."""
        [result] = [result for result in self.all(FlushResult) if result.seq == seq]
        return result

    def answer_text(self, seq: int) -> str:
        """What was told of the answer to a SUBMIT."""
        return "".join(delta.text for delta in self.all(GenerationDelta) if delta.seq == seq)

    def finished(self, seq: int) -> GenerationFinished:
        """Return the one end of an answer."""
        [finished] = [finished for finished in self.all(GenerationFinished) if finished.seq == seq]
        return finished

    def error(self, seq: int) -> SessionError:
        """Return the one error that answers an event."""
        [error] = [error for error in self.all(SessionError) if error.seq == seq]
        return error

    @property
    def warms(self) -> list[Request]:
        return [request for request in self.engine.requests if request.priority is Priority.WARM]

    @property
    def generations(self) -> list[Request]:
        return [request for request in self.engine.requests if request.priority is Priority.GENERATION]

    @property
    def pregenerations(self) -> list[Request]:
        return [request for request in self.engine.requests if request.priority is Priority.PREGENERATION]

    def prompt_ids(self, *messages: ChatMessage) -> list[int]:
        """Return the ids of a whole prompt, as the engine's chat endpoint makes them."""
        chat = self.engine.chat_endpoint.chat
        return chat.encode(chat.render(Conversation((*self.opening.messages, *messages))))

    def samples(self) -> dict[str, float]:
        """Return the metrics that are not 0, by name and label."""
        return {
            sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.value and not sample.name.endswith(("_created", "_bucket", "_sum"))
        }


@asynccontextmanager
async def on_stage(*args: Any, **kwargs: Any) -> AsyncIterator[Stage]:
    """Run a session for the time of the block."""
    stage = Stage(*args, **kwargs)
    try:
        await settle()
        yield stage
    finally:
        stage.task.cancel()
        await asyncio.gather(stage.task, return_exceptions=True)


def user(text: str) -> ChatMessage:
    return ChatMessage("user", text)


def assistant(text: Any) -> ChatMessage:
    return ChatMessage("assistant", str(text))
