"""Answers one SUBMIT or Respond: makes its prompt, adopts what was begun or generates, streams it, closes the books.

If the prompt is for the engine's own chat endpoint to make (`rendering`), the answer is the endpoint's. Of its prompt
only the ids that all prompts of the turn begin with are known then, and with the first token all, if the endpoint says.

The generation goes where the session's requests go, and once more elsewhere if it is lost before its first token:

    what happens                                           what becomes of the generation
    the engine is lost, or has no room, before a token     once more elsewhere, if there is a place and a retry left
    it is lost after the first token                       it fails: what was sent stays sent
    it refuses this request                                it fails: another engine would refuse it, too
    it will never come back                                the session ends
    the user stops it                                      it ends with what was sent, and the engine's request with it
"""

import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from ..chat.generation import Output, Sampling
from ..chat.parts import AnswerSplitter, joined
from ..chat.token_ids import TokenIds
from ..engine import ChatEndpoint, Priority
from ..errors import EngineBusy, EngineDied, EngineError, EngineRefused, EngineUnavailable, Reason, Refusal
from ..fleet.replicas import Place
from ..session.actions import Generate
from ..session.ledger import Balance
from ..session.responses import CANCELLED, GenerationDelta, GenerationFinished, Response
from .acceptance import Acceptance
from .answer import Answer, Answered, Failed
from .owner import Owner
from .prefiller import Prefiller
from .pregeneration_task import Pregenerator
from .rendering import Asks
from .tasks import Interrupted, Interruption
from .turn import Turn
from .warmer import Warmer

log = logging.getLogger(__name__)

_OF_THE_TURN = (Reason.PROMPT_TOO_LONG, Reason.TEMPLATE_REFUSED, Reason.INVALID_TOOLS)
"""Refusals that end an answer; any other comes from our writes, and ends the session."""

_WORTH_A_RETRY = (EngineUnavailable, EngineBusy)
"""Failures of an engine; any other is of the request, and another engine would fail it, too."""


class Answerer:
    """Runs the answers of one session; `send` delivers one response."""

    def __init__(
        self,
        owner: Owner,
        acceptance: Acceptance,
        prefiller: Prefiller,
        warmer: Warmer,
        pregenerator: Pregenerator,
        send: Callable[[Response], Awaitable[None]],
    ) -> None:
        self._owner = owner
        self._acceptance = acceptance
        self._backend = owner.backend
        self._prefiller = prefiller
        self._warmer = warmer
        self._pregenerator = pregenerator
        self._send = send

    async def run(
        self, turn: Turn, generate: Generate, received_at: float, interruption: Interruption
    ) -> Answered | Failed:
        """Send the parts of an answer as they come, until it ends or is to stop; return how it ended.

        Raises EngineDied, and the Refusal of a write.
        """
        share = self._owner.share
        if seconds := share.quota_seconds:
            why = "its tokens of this minute are used up"
            return Failed(Refusal(Reason.RATE_LIMITED, why, retry_after_seconds=seconds))
        try:
            with interruption.here():
                await share.answers.acquire()
        except Interrupted:
            return Answered(self._empty(generate.seq, received_at, CANCELLED), generate.answer_so_far)
        self._backend.replicas.retries.generation()
        try:
            return await self._run(turn, generate, received_at, interruption)
        except Refusal as refusal:
            if refusal.reason not in _OF_THE_TURN:
                raise
            return Failed(refusal)
        finally:
            share.answers.release()

    async def _run(
        self, turn: Turn, generate: Generate, received_at: float, interruption: Interruption
    ) -> Answered | Failed:
        place = self._owner.route.now
        with place.replica.admission.generation() as token:
            by_engine = generate.text is None or turn.prompts.rule.asks is not Asks.FAST_PATH
            try:
                with interruption.here():
                    sampling = await self._acceptance.sampling(turn.tool_choice)
                    prompt, made_tokens = await self._prompt(turn, generate, sampling)
                    splitter = await self._splitter(turn, generate, prompt)
            except Interrupted:
                return Answered(self._empty(generate.seq, received_at, CANCELLED), generate.answer_so_far)
            except EngineDied:
                raise
            except EngineError as unknown:
                return _failed(unknown)
            if made_tokens and made_tokens >= (sampling.max_tokens or math.inf):
                return Answered(self._empty(generate.seq, received_at, "length"), generate.answer_so_far)
            answer = self._answer(turn, generate, prompt, made_tokens, place, received_at, interruption)
            answer.splitter, answer.prompt_by_engine, answer.sampling = splitter, by_engine, sampling
            self._prefiller.make_way(answer.prompt, whole=answer.prompt_known)
            error = await self._try(answer, place, token)
        if isinstance(error, _WORTH_A_RETRY) and not answer.first_token_at:
            error = await self._once_more(answer, place, error)
        return await self._finish(answer, generate) if error is None else _failed(error, answer)

    def _answer(
        self,
        turn: Turn,
        generate: Generate,
        prompt: TokenIds | None,
        made_tokens: int,
        place: Place,
        received_at: float,
        interruption: Interruption,
    ) -> Answer:
        times = received_at, self._backend.clock()
        conversation = turn.prompts.conversation(generate.text) if _by_endpoint(turn, prompt) else None
        lead, known = (turn.prompts.lead, False) if prompt is None else (prompt, True)
        return Answer(
            turn, generate.seq, lead, made_tokens, place, *times, interruption, conversation, prompt_known=known
        )

    async def _splitter(self, turn: Turn, generate: Generate, prompt: TokenIds | None) -> AnswerSplitter | None:
        """Return what takes the answer to these ids apart; None if nothing does, or the engine's endpoint answers."""
        if prompt is None or _by_endpoint(turn, prompt):
            return None
        conversation = turn.prompts.conversation(generate.text)
        if not self._endpoint.splits(conversation):
            return None
        splitter: AnswerSplitter | None = await self._owner.render(
            self._endpoint.splitter, conversation, prompt.to_list()
        )
        return splitter

    @property
    def _endpoint(self) -> ChatEndpoint:
        return self._owner.route.now.replica.engine.chat_endpoint

    def _empty(self, seq: int, received_at: float, reason: str) -> GenerationFinished:
        """Return what the client is told of an answer for which nothing was asked of the engine; its turn goes on."""
        seconds = self._backend.clock() - received_at
        return GenerationFinished(seq, reason, 0, 0, 0, seconds, 0.0, seconds, Balance())

    async def _prompt(self, turn: Turn, generate: Generate, sampling: Sampling) -> tuple[TokenIds | None, int]:
        """Return the prompt, None if only the engine knows it, and how many tokens of it the answer has already."""
        text, begun = generate.text, None
        if text is not None and not generate.answer_so_far:
            begun = self._pregenerator.prompt_of(text, turn.tool_choice)
        prompt = await turn.prompts.submitted(text) if begun is None else begun
        if not generate.answer_so_far:
            return prompt, 0
        if sampling.structure is not None:
            raise EngineRefused("an answer with a structure cannot go on after a part of it; SUBMIT without that part")
        if prompt is None or self._endpoint.splits(turn.prompts.conversation(text)):
            does = "makes the prompt itself" if prompt is None else "splits answers into their parts"
            raise EngineRefused(f"this engine {does}, so an answer cannot go on; SUBMIT without it")
        chat = self._backend.replicas.chat
        if len(generate.answer_so_far) > self._backend.info.context_tokens * chat.longest_token:
            raise Refusal(Reason.PROMPT_TOO_LONG, "the answer so far has no room")
        made: list[int] = await self._owner.render(chat.encode, generate.answer_so_far)
        return prompt.extended(made), len(made)

    async def _try(self, answer: Answer, place: Place, token: Callable[[], None]) -> EngineError | None:
        """Stream the answer; return what went wrong, if anything did."""
        try:
            await self._stream(answer, place, token)
        except EngineDied:
            raise
        except EngineError as error:
            if isinstance(error, _WORTH_A_RETRY) and answer.first_token_at:
                self._owner.route.leave(place, error)
            return error
        return None

    async def _once_more(self, answer: Answer, failed: Place, error: EngineError) -> EngineError | None:
        place = self._owner.route.elsewhere(failed, error)
        self._backend.metrics.lost(failed.replica.name, retried=place is not None)
        if place is None:
            return error
        with place.replica.admission.generation() as token:
            return await self._try(answer, place, token)

    async def _stream(self, answer: Answer, place: Place, token: Callable[[], None]) -> None:
        async with aclosing(self._outputs(answer, place)) as outputs:
            while (output := await self._next(answer, outputs)) is not None:
                part = answer.take(output)
                token()
                if not answer.first_token_at:
                    await self._start(answer)
                if part.text or part.reasoning or part.tool_calls or part.logprobs:
                    await self._send(
                        GenerationDelta(answer.seq, part.text, part.reasoning, part.tool_calls, part.logprobs)
                    )
        if answer.finish_reason in (None, "abort", "error"):
            raise EngineRefused("the engine stopped before the answer was complete")

    async def _next(self, answer: Answer, outputs: AsyncGenerator[Output, None]) -> Output | None:
        """Return the next part of an answer; None after the last, or if it is to stop."""
        try:
            with answer.interruption.here():
                return await anext(outputs, None)
        except Interrupted:
            answer.finish_reason = answer.finish_reason or CANCELLED
            return None

    def _outputs(self, answer: Answer, place: Place) -> AsyncGenerator[Output, None]:
        """Return the parts of an answer: of what was begun for exactly this prompt, else of a plain generation."""
        prompt, owner = answer.prompt, self._owner
        by_endpoint = answer.conversation is not None
        adopted = self._pregenerator.adopt(prompt, answer.turn.tool_choice, by_endpoint=by_endpoint)
        answer.attempt, answer.place = adopted, place if adopted is None else adopted.place
        answer.cached_tokens = owner.view(answer.place).frontier(prompt, self._backend.clock())
        if adopted is not None:
            return adopted.answer(place, apart=by_endpoint or answer.splitter is not None)
        sampling = answer.sampling.after(answer.made_tokens)
        return owner.generate(place, prompt, answer.conversation, sampling, Priority.GENERATION)

    async def _start(self, answer: Answer) -> None:
        answer.first_token_at = self._backend.clock()
        answer.turn.ledger.began(answer.prompt, answer.found_tokens, answer.place)
        started = answer.started()
        self._backend.metrics.started(started.ttft_seconds, started.source)
        await self._send(started)

    async def _finish(self, answer: Answer, generate: Generate) -> Answered:
        """Close the turn's books on its answer; what it computed is held at its place from now on."""
        await self._prefiller.stop()
        if answer.prompt_known and answer.first_token_at:  # the last token was never computed on
            self._warmer.holds(answer.place, answer.prompt.extended(answer.token_ids[:-1]))
        now = self._backend.clock()
        self._learn(answer, now)
        balance = answer.turn.ledger.settle(answer.prompt, answer.found_tokens, answer.place)
        finished = answer.finished(self._owner.book(balance), now)
        self._owner.share.used(finished.prompt_tokens - finished.cached_tokens + finished.completion_tokens)
        return Answered(finished, generate.answer_so_far + answer.text, joined(answer.calls))

    def _learn(self, answer: Answer, now: float) -> None:
        """Learn how long a step takes, and give the session's guesses what an answer's time allows them."""
        if answer.first_token_at and not answer.adopted:
            times, steps = answer.place.replica.admission.times, len(answer.token_ids) - 1
            times.observe_steps(now - answer.first_token_at, steps)
        answer.turn.ledger.answered(answer.engine_seconds)
        self._backend.guess_budget.answered(answer.engine_seconds, *self._owner.accounts)


def _by_endpoint(turn: Turn, prompt: TokenIds | None) -> bool:
    """Return whether the engine's chat endpoint itself answers: only it knows the prompt, or it has to answer."""
    return prompt is None or turn.prompts.answered_by_endpoint


def _failed(error: EngineError, answer: Answer | None = None) -> Failed:
    log.info("an answer failed: %s", error)
    begun = answer is not None and answer.first_token_at
    reason = Reason.GENERATION_INTERRUPTED if begun else Reason.GENERATION_FAILED
    wait = error.retry_after_seconds if isinstance(error, EngineBusy) else None
    refusal = Refusal(reason, _for_the_client(error), retry_after_seconds=wait)
    return Failed(refusal, answer.text if answer is not None and begun else "")


def _for_the_client(error: EngineError) -> str:
    """Return what an engine said of a request; where servers are, and how they failed, is for the operator alone."""
    return "" if isinstance(error, _WORTH_A_RETRY) else str(error)
