"""Plays a window of typists against the service itself, on the fake engine, at virtual time.

Sessions, planner, admission, and what is believed cached are the service's own code, unchanged; only the engine is a
model (`steps`), and the time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from forefill_client.keystrokes import Stroke, StrokeKind
from forefill_client.keystrokes.playback import at_instants
from forefill_service.chat.generation import Sampling
from forefill_service.chat.messages import ChatMessage
from forefill_service.chat.prompt import TurnPrompt
from forefill_service.engine import FakeEngine, Priority
from forefill_service.fleet.backend import Backend
from forefill_service.fleet.fair_queue import NOBODYS, Line
from forefill_service.fleet.metrics import Metrics
from forefill_service.scheduling.calibration import calibrate
from forefill_service.scheduling.prefill_times import Coefficients
from forefill_service.serving.runner import SessionRunner
from forefill_service.session.draft import checksum
from forefill_service.session.events import (
    CharAdd,
    CharDelete,
    End,
    Flush,
    KeystrokeEvent,
    Open,
    PregenerationMode,
    Replace,
    Submit,
    WarmMode,
)
from forefill_service.session.responses import GenerationDelta, GenerationStarted, Response, Source
from forefill_service.settings import Settings

from ..typing.arms import ARMS, Arm, Prepared
from ..typing.playing import run_counted
from ..typing.schedule import OPEN_EARLY_MS, Arrival, PlannedSession, Window
from ..typing.script import Script
from ..typing.texts import BACKGROUND_SYSTEM, place_in_block
from ..typing.workloads import BY_DEFAULT
from .outcome import SimulatedOutcome
from .scenario import ReplicaSpec, Use
from .stepping import Stepping
from .steps import Step, StepModel
from .virtual_time import run_at_virtual_time

TEMPLATE_TOKENS: Final = 8
"""The tokens that the fake engine's template puts around the system message and before the draft."""
ROOM_TOKENS: Final = 4096
"""More than any question and its answer need."""
ENDLESS: Final = 1_000_000
"""Longer than any answer, so that `max_tokens` alone ends it."""

Progress = Callable[[float], None]
_ARMS: Final = ARMS | {BY_DEFAULT.name: BY_DEFAULT}


def simulate(
    replica: ReplicaSpec,
    use: Use,
    window: Window,
    arm: str,
    progress: Progress = lambda seconds: None,
    *,
    contexts: Mapping[int, int] = {},
) -> SimulatedOutcome:
    """Play a window in an arm; `progress` is called every simulated second, with the seconds so far, and may raise.

    `contexts` gives sessions, by their number, another length of context than that of `use`, in tokens.
    """
    return run_at_virtual_time(_Simulation(replica, use, window, _ARMS[arm], contexts).run(progress))


def busy_gap_ms() -> float:
    """Return by how much the service lets warms lengthen the steps of running answers."""
    return Settings().warming.busy_gap_ms


@dataclass(slots=True)
class _Books:
    """The counts so far."""

    ttft_ms: list[float] = field(default_factory=list)
    submits: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    adopted: int = 0
    busy_seconds: float = 0.0
    warm_seconds: float = 0.0
    warm_tokens: int = 0
    neighbours_ttft_ms: list[float] = field(default_factory=list)
    neighbours_gaps_ms: list[float] = field(default_factory=list)

    def step(self, step: Step) -> None:
        """Count a step; its fixed part counts as warming only if it holds nothing but warms."""
        self.busy_seconds += step.seconds
        warms = [part.job.priority is Priority.WARM for part in step.parts]
        self.warm_seconds += step.fixed_seconds * all(warms)
        for part, seconds, warm in zip(step.parts, step.added_seconds, warms, strict=True):
            self.warm_seconds += seconds * warm
            self.warm_tokens += part.new_tokens * warm


class _Simulation:
    """One window in one arm, on one replica, run once."""

    def __init__(self, replica: ReplicaSpec, use: Use, window: Window, arm: Arm, contexts: Mapping[int, int]) -> None:
        self._use = use
        self._window = window
        self._arm = arm
        self._contexts = contexts
        self._block_size = replica.block_size
        self._books = _Books()
        self._began_at = float("inf")
        self._engine = FakeEngine(
            block_size=replica.block_size,
            context_tokens=use.context_tokens + replica.block_size + use.answer_tokens + ROOM_TOKENS,
            cache_blocks=replica.cache_tokens // replica.block_size,
            answer_tokens=ENDLESS,
            keep_requests=False,
            scheduler=lambda engine: Stepping(engine, _step_model(replica), on_step=self._step),
        )

    async def run(self, progress: Progress) -> SimulatedOutcome:
        self._clock = asyncio.get_running_loop().time
        self._backend = Backend.of([self._engine], Settings(), Metrics(), _render, clock=self._clock)
        [replica] = self._backend.replicas.all
        await calibrate(self._engine, replica.admission.times, self._clock)
        self._engine.evict()
        self._began_at = self._clock()
        window = self._window
        works = [(self._session(session), session.counted) for session in window.sessions]
        works += [(self._background(index, arrival), arrival.counted) for index, arrival in enumerate(window.arrivals)]
        try:
            await run_counted(works, self._until(window.ends_ms), lambda: progress(self._clock() - self._began_at))
        finally:
            await self._engine.close()
        return self._outcome()

    async def _session(self, planned: PlannedSession) -> None:
        """Open a session, type, submit, and take in the answer."""
        await self._until(planned.begins_ms - OPEN_EARLY_MS)
        opening = Open(
            (ChatMessage("system", self._context(planned.index)),),
            Sampling(self._use.answer_tokens),
            warm_mode=WarmMode[self._arm.warm_mode.name],
            pregeneration_mode=PregenerationMode[self._arm.pregeneration.name],
        )
        self._prepare(opening, planned.script[-1].draft)
        books, due_at = self._books, self._began_at + planned.submits_ms / 1000

        async def heard(response: Response) -> None:
            if isinstance(response, GenerationStarted) and planned.counted:
                books.ttft_ms.append((self._clock() - due_at) * 1000)
                books.prompt_tokens += response.prompt_tokens
                books.cached_tokens += response.cached_tokens
                books.adopted += response.source is Source.PREGENERATED

        books.submits += planned.counted
        script = planned.script if self._arm.warms else planned.script[-1:]
        await SessionRunner(self._backend, opening, heard).run(self._events(script, planned.begins_ms))

    async def _background(self, index: int, arrival: Arrival) -> None:
        """Ask for one plain generation of the background traffic."""
        await self._until(arrival.at_ms)
        opening = Open(
            (ChatMessage("system", f"b{index} {BACKGROUND_SYSTEM}"),),
            Sampling(self._use.background_tokens),
            warm_mode=WarmMode.OFF,
            pregeneration_mode=PregenerationMode.OFF,
        )
        tokens_at: list[float] = []

        async def heard(response: Response) -> None:
            if isinstance(response, GenerationDelta):
                tokens_at.append(self._clock())

        script = (Stroke(0.0, StrokeKind.SUBMIT, arrival.text),)
        await SessionRunner(self._backend, opening, heard).run(self._events(script, arrival.at_ms))
        if arrival.counted:
            due_at = self._began_at + arrival.at_ms / 1000
            self._books.neighbours_ttft_ms.append((tokens_at[0] - due_at) * 1000)
            self._books.neighbours_gaps_ms += [(later - earlier) * 1000 for earlier, later in pairwise(tokens_at)]

    async def _events(self, script: Script, begins_ms: float) -> AsyncIterator[KeystrokeEvent]:
        """Yield every stroke at its instant, then END."""
        planned = [
            (begins_ms + stroke.at_ms, KeystrokeEvent(seq, _event(stroke))) for seq, stroke in enumerate(script, 1)
        ]
        async for _, event in at_instants(planned, self._until):
            yield event
        yield KeystrokeEvent(len(script) + 1, End())

    def _prepare(self, opening: Open, draft: str) -> None:
        """Cache what the arm wants cached beforehand, at no cost."""
        if self._arm.prepared is Prepared.NOTHING:
            return
        prompt = TurnPrompt(self._engine.chat, opening.conversation(opening.messages), self._engine.info.context_tokens)
        whole = self._arm.prepared is Prepared.WHOLE
        self._engine.hold((prompt.final(draft) if whole else prompt.base).to_list())

    def _context(self, index: int) -> str:
        """Return the system message of that number: the shared words, then its own."""
        size = self._block_size
        anywhere = self._use.context_tokens + place_in_block(index, size) - size // 2
        tokens = self._contexts.get(index, anywhere) - TEMPLATE_TOKENS
        shared = ["all"] * min(self._use.shared_tokens, tokens)
        return " ".join([*shared, f"n{index}", *["own"] * (tokens - len(shared) - 1)])

    def _step(self, step: Step) -> None:
        at_ms = (self._clock() - self._began_at) * 1000
        if self._window.lead_ms <= at_ms <= self._window.ends_ms:
            self._books.step(step)

    async def _until(self, at_ms: float) -> None:
        await asyncio.sleep(max(0.0, self._began_at + at_ms / 1000 - self._clock()))

    def _outcome(self) -> SimulatedOutcome:
        books, window = self._books, self._window
        return SimulatedOutcome(
            arm=self._arm.name,
            typists=window.typists,
            ttft_ms=tuple(books.ttft_ms),
            failures=books.submits - len(books.ttft_ms),
            prompt_tokens=books.prompt_tokens,
            cached_tokens=books.cached_tokens,
            adopted=books.adopted,
            seconds=(window.ends_ms - window.lead_ms) / 1000,
            busy_seconds=books.busy_seconds,
            warm_seconds=books.warm_seconds,
            warm_tokens=books.warm_tokens,
            neighbours_ttft_ms=tuple(books.neighbours_ttft_ms),
            neighbours_gaps_ms=tuple(books.neighbours_gaps_ms),
        )


def _step_model(replica: ReplicaSpec) -> StepModel:
    return StepModel(
        Coefficients(replica.step_ms / 1000, 1 / replica.prefill_tokens_per_second, replica.attention_ms / 1000),
        per_request=replica.request_ms / 1000,
        per_thousand_read=replica.read_ms / 1000,
        on_the_way=replica.overhead_ms / 1000,
        max_batched_tokens=replica.max_batched_tokens,
        max_sequences=replica.max_sequences,
    )


async def _render(function: Callable[..., Any], *args: Any, line: Line = NOBODYS) -> Any:
    """Call the function here: a thread would not follow virtual time."""
    return function(*args)


def _event(stroke: Stroke) -> CharAdd | CharDelete | Replace | Flush | Submit:
    match stroke.kind:
        case StrokeKind.TYPE:
            return CharAdd(stroke.text)
        case StrokeKind.DELETE:
            return CharDelete()
        case StrokeKind.REPLACE:
            return Replace(stroke.start, stroke.end, stroke.text)
        case StrokeKind.FLUSH:
            return Flush(len(stroke.draft), checksum(stroke.draft), stroke.confirmed)
        case StrokeKind.SUBMIT:
            return Submit(stroke.draft)
