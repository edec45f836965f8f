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

from .engine import Output, Priority, Request
from .errors import EngineBusy, EngineDied, EngineError, EngineRefused, EngineUnavailable
from .events import Sampling
from .pregenerator import Pregenerator
from .replicas import Place
from .responses import GenerationDelta, GenerationStarted, Response, Source
from .service import Service
from .token_ids import TokenIds
from .warmer import Owner, Warmer


@dataclass(slots=True)
class Answer:
    """One running answer: what is known of it so far; times by the service's clock.

    `cached_tokens` is what is believed until the engine tells.
    """

    seq: int
    received_at: float
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
        service: Service,
        owner: Owner,
        warmer: Warmer,
        pregenerator: Pregenerator,
        sampling: Sampling,
        send: Callable[[Response], Awaitable[None]],
    ) -> None:
        self._service = service
        self._owner = owner
        self._warmer = warmer
        self._pregenerator = pregenerator
        self._sampling = sampling
        self._send = send

    async def run(self, answer: Answer, render: Callable[[], Awaitable[TokenIds]]) -> tuple[TokenIds, Place]:
        """Send the parts of an answer as they come; return the prompt that it answers, and where it was generated.

        Raises EngineError where it did not come to its end, and whatever `render` raises.
        """
        self._service.replicas.retries.generation()
        place = self._warmer.locate()
        with place.replica.admission.generation() as first_token:
            prompt = await render()
            answer.rendered_at = self._service.clock()
            self._warmer.submit(prompt)
            result = await self._try(answer, prompt, place, first_token)
        if isinstance(result, EngineError):
            result = await self._once_more(answer, prompt, place, result)
        return prompt, result

    async def _try(
        self, answer: Answer, prompt: TokenIds, place: Place, first_token: Callable[[], None]
    ) -> Place | EngineError:
        """Return where it was generated, or what went wrong where nothing was sent yet and another may do better."""
        try:
            return await self._stream(answer, prompt, place, first_token)
        except EngineDied:
            raise
        except (EngineUnavailable, EngineBusy) as error:
            if answer.first_token_at:
                self._owner.route.leave(place, error)
                raise
            return error

    async def _once_more(self, answer: Answer, prompt: TokenIds, failed: Place, error: EngineError) -> Place:
        place = self._owner.route.elsewhere(failed, error)
        self._service.metrics.lost(failed.replica.name, retried=place is not None)
        if place is None:
            raise error
        with place.replica.admission.generation() as first_token:
            return await self._stream(answer, prompt, place, first_token)

    async def _stream(self, answer: Answer, prompt: TokenIds, place: Place, first_token: Callable[[], None]) -> Place:
        adopted = self._pregenerator.adopt(prompt, place)
        answer.adopted = adopted is not None
        answer.cached_tokens = self._warmer.believed_tokens(prompt, place)
        request = Request(prompt.to_list(), self._sampling, Priority.GENERATION, self._owner.cache_salt, place.route)
        answering, place = adopted or (place.replica.engine.generate(request), place)
        async with aclosing(answering) as outputs:
            async for output in outputs:
                answer.take(output)
                if not answer.first_token_at:
                    first_token()
                    await self._started(answer, len(prompt))
                if output.text:
                    await self._send(GenerationDelta(answer.seq, output.text))
        if answer.finish_reason in (None, "abort", "error"):
            raise EngineRefused("the engine stopped before the answer was complete")
        return place

    async def _started(self, answer: Answer, prompt_tokens: int) -> None:
        answer.first_token_at = self._service.clock()
        ttft = answer.first_token_at - answer.received_at
        self._service.metrics.started(ttft, answer.source)
        await self._send(GenerationStarted(answer.seq, ttft, prompt_tokens, answer.cached_tokens, answer.source))
