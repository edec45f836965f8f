"""Answers one SUBMIT: the generation goes where the session's requests go, and once more elsewhere if it gets lost.

what happens                                           what becomes of the generation
the engine is lost, or has no room, before a token     once more elsewhere, if there is an elsewhere and a retry left
it is lost behind the first token                      it fails: what was sent stays sent
it refuses this request                                it fails: another engine would refuse it, too
it will never come back                                the session ends
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from ..chat.generation import Sampling
from ..chat.token_ids import TokenIds
from ..engine import Output, Priority, Request
from ..errors import EngineBusy, EngineDied, EngineError, EngineRefused, EngineUnavailable
from ..fleet.backend import Backend
from ..fleet.replicas import Place
from ..session.responses import GenerationDelta, GenerationStarted, Response, Source
from .pregeneration_task import Pregenerator
from .warmer import Owner, Warmer


@dataclass(slots=True)
class Answer:
    """One running answer: what is known of it so far; times by the service's clock.

    `cached_tokens` is what is believed until the engine tells; `prompt` and `place` are set when it is sent, `place`
    to where its first token comes from.
    """

    seq: int
    received_at: float
    prompt: TokenIds = field(init=False, repr=False)
    place: Place = field(init=False, repr=False)
    rendered_at: float = 0.0
    first_token_at: float = 0.0
    cached_tokens: int = 0
    adopted: bool = False
    texts: list[str] = field(default_factory=list)
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None

    @property
    def source(self) -> Source:
        """On what it began."""
        if self.adopted:
            return Source.PREGENERATED
        return Source.WARM if self.cached_tokens else Source.COLD

    @property
    def found_tokens(self) -> int:
        """Leading tokens of its prompt that were computed ahead: all of them, where it was begun before SUBMIT."""
        return len(self.prompt) if self.adopted else self.cached_tokens

    def take(self, output: Output) -> None:
        """Take its next part."""
        self.texts.append(output.text)
        self.token_ids.extend(output.token_ids)
        if output.cached_tokens is not None:
            self.cached_tokens = output.cached_tokens
        self.finish_reason = output.finish_reason


class Answerer:
    """Runs the answers of one session; `send` delivers one response."""

    def __init__(
        self,
        backend: Backend,
        owner: Owner,
        warmer: Warmer,
        pregenerator: Pregenerator,
        sampling: Sampling,
        send: Callable[[Response], Awaitable[None]],
    ) -> None:
        self._backend = backend
        self._owner = owner
        self._warmer = warmer
        self._pregenerator = pregenerator
        self._sampling = sampling
        self._send = send

    async def run(self, answer: Answer, render: Callable[[], Awaitable[TokenIds]]) -> None:
        """Send the parts of an answer as they come, to its end.

        Raises EngineError where it did not come to its end, and whatever `render` raises.
        """
        self._backend.replicas.retries.generation()
        place = self._warmer.locate()
        with place.replica.admission.generation() as first_token:
            answer.prompt = await render()
            answer.rendered_at = self._backend.clock()
            self._warmer.submit(answer.prompt)
            lost = await self._try(answer, place, first_token)
        if lost is not None:
            await self._once_more(answer, place, lost)

    async def _try(self, answer: Answer, place: Place, first_token: Callable[[], None]) -> EngineError | None:
        """Return what went wrong where nothing was sent yet and another engine may do better."""
        try:
            await self._stream(answer, place, first_token)
        except EngineDied:
            raise
        except (EngineUnavailable, EngineBusy) as error:
            if answer.first_token_at:
                self._owner.route.leave(place, error)
                raise
            return error
        return None

    async def _once_more(self, answer: Answer, failed: Place, error: EngineError) -> None:
        place = self._owner.route.elsewhere(failed, error)
        self._backend.metrics.lost(failed.replica.name, retried=place is not None)
        if place is None:
            raise error
        with place.replica.admission.generation() as first_token:
            await self._stream(answer, place, first_token)

    async def _stream(self, answer: Answer, place: Place, first_token: Callable[[], None]) -> None:
        prompt = answer.prompt
        adopted = self._pregenerator.adopt(prompt, place)
        answer.adopted = adopted is not None
        answer.place = self._pregenerator.begun_at if answer.adopted else place
        answer.cached_tokens = self._warmer.believed_tokens(prompt, answer.place)
        request = Request(prompt.to_list(), self._sampling, Priority.GENERATION, self._owner.cache_salt, place.route)
        async with aclosing(adopted or place.replica.engine.generate(request)) as outputs:
            async for output in outputs:
                answer.take(output)
                if not answer.first_token_at:
                    first_token()
                    await self._started(answer)
                if output.text:
                    await self._send(GenerationDelta(answer.seq, output.text))
        if answer.finish_reason in (None, "abort", "error"):
            raise EngineRefused("the engine stopped before the answer was complete")

    async def _started(self, answer: Answer) -> None:
        answer.first_token_at = self._backend.clock()
        self._warmer.ledger.began(answer.prompt, answer.found_tokens, answer.place)
        ttft = answer.first_token_at - answer.received_at
        self._backend.metrics.started(ttft, answer.source)
        prompt_tokens, cached_tokens = len(answer.prompt), answer.cached_tokens
        await self._send(GenerationStarted(answer.seq, ttft, prompt_tokens, cached_tokens, answer.source))
