"""Drives one session on one engine: tasks, locks and awaits live here, rules do not.

Four kinds of tasks belong to a session: one reads events, one warms (`Warmer`), one begins answers (`Pregenerator`),
and one per SUBMIT answers. All end with `run`, which returns after END, or raises the Refusal that ended the session.
"""

import asyncio
import hashlib
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from ..chat.prompt import TurnPrompt
from ..chat.token_ids import TokenIds
from ..errors import EngineBusy, EngineDied, EngineError, EngineUnavailable, Reason, Refusal
from ..fleet.backend import Backend
from ..fleet.replicas import Route
from ..session.events import CacheScope, KeystrokeEvent, Open, Unknown, WarmMode
from ..session.machine import (
    Action,
    BeginTurn,
    Close,
    Confirm,
    Defer,
    Drafted,
    Generate,
    Phase,
    Refuse,
    Session,
    Unconfirm,
)
from ..session.responses import FlushOutcome, FlushResult, GenerationFinished, Opened, Response, SessionError
from .answer import Answer, Answerer
from .pregeneration_task import Pregenerator
from .warmer import Owner, Warmer

log = logging.getLogger(__name__)

Event = Open | KeystrokeEvent | Unknown

_OF_AN_ANSWER = (Reason.PROMPT_TOO_LONG, Reason.TEMPLATE_REFUSED)
"""Refusals of a prompt: the session goes on. Others, from our writes, end it."""


class SessionRunner:
    """One session, from its Open to its end.

    `send` delivers one response; it may raise Refusal where the client does not take it.
    """

    def __init__(
        self, backend: Backend, opening: Open, send: Callable[[Response], Awaitable[None]], tenant: str = ""
    ) -> None:
        self._backend = backend
        self._opening = opening
        self._send = send
        self._session = Session(backend.settings.sessions.max_draft_code_points)
        self._session_id = opening.session_key or secrets.token_hex(8)
        route = Route(backend.replicas, self._route_key(tenant))
        off_reason = "this session asked for WARM_MODE_OFF" if opening.warm_mode is WarmMode.OFF else ""
        owner = Owner(self._session_id, tenant, _cache_salt(opening.cache_scope, tenant), route)
        self._warmer = Warmer(backend, owner, self._answer_flush, off_reason=off_reason)
        self._pregenerator = Pregenerator(backend, owner, self._warmer, opening.sampling, opening.pregeneration_mode)
        self._answerer = Answerer(backend, owner, self._warmer, self._pregenerator, opening.sampling, send)
        self._prompt: asyncio.Future[TurnPrompt]  # of the current turn; the first one begins with Open
        self._changing = asyncio.Lock()  # one at a time: events from the client, and the ends of answers
        self._tasks: set[asyncio.Future[Any]] = set()
        self._stopping = False
        self._ended: asyncio.Future[Refusal | None] = asyncio.get_running_loop().create_future()
        self._actions: dict[type[Action], Callable[[Any, float], Awaitable[None]]] = {
            BeginTurn: self._begin_turn,
            Confirm: self._confirm,
            Defer: self._defer,
            Unconfirm: self._unconfirm,
            Drafted: self._drafted,
            Generate: self._generate,
            Refuse: self._refuse,
            Close: self._close,
        }

    async def run(self, events: AsyncIterator[Event]) -> None:
        """Run the session on the events behind its Open.

        Raises Refusal where the stream cannot go on, ABORTED among them: the events ended without END.
        """
        self._backend.idle_refresher.add(self._warmer)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._spawn(partial(self._open_and_read, events))
                try:
                    refusal = await self._ended
                finally:
                    for task in self._tasks:
                        task.cancel()
        finally:
            self._backend.idle_refresher.discard(self._warmer)
            self._pregenerator.abandon()
            self._warmer.abandon()
        if refusal is not None:
            raise refusal

    def _route_key(self, tenant: str) -> str:
        """Return what decides where this session's requests go."""
        if self._backend.settings.remote.affinity == "session":
            return f"{tenant}/{self._session_id}"
        said = [(message.role, message.content) for message in self._opening.messages]
        return hashlib.sha256(repr((tenant, said)).encode()).hexdigest()

    def stop(self) -> None:
        """End the session because the server stops: at once, or when the running answer is complete."""
        self._stopping = True
        if self._session.phase not in (Phase.GENERATING, Phase.CLOSING):
            self.end(Refusal(Reason.SERVER_STOPPING))

    def end(self, refusal: Refusal | None) -> None:
        """End the session; the first cause counts."""
        if not self._ended.done():
            self._ended.set_result(refusal)

    def _spawn(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task of this session; a Refusal from it ends the session."""

        async def guarded() -> None:
            try:
                await work()
            except Refusal as refusal:
                self.end(refusal)
            except EngineDied:
                self.end(Refusal(Reason.ENGINE_UNAVAILABLE))

        self._own(self._group.create_task(guarded()))

    def _own(self, task: asyncio.Future[Any]) -> None:
        """Cancel a task with the session."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open_and_read(self, events: AsyncIterator[Event]) -> None:
        await self._receive(self._opening)
        base = (await self._prompt).base
        await self._send(Opened(self._session_id, len(base), self._warmer.inert_reason))
        self._spawn(self._warmer.run)
        self._spawn(self._pregenerator.run)
        async for event in events:
            await self._receive(event)
        if self._session.phase is not Phase.CLOSING:  # a crash looks like a goodbye, so only END is one
            raise Refusal(Reason.ABORTED)

    async def _receive(self, event: Event) -> None:
        received_at = self._backend.clock()
        async with self._changing:
            await self._perform(self._session.receive(event), received_at)

    async def _perform(self, actions: list[Action], received_at: float) -> None:
        for action in actions:
            await self._actions[type(action)](action, received_at)

    async def _begin_turn(self, turn: BeginTurn, received_at: float) -> None:
        if self._stopping:
            raise Refusal(Reason.SERVER_STOPPING)
        context_tokens = self._backend.info.context_tokens
        kwargs = self._opening.chat_template_kwargs
        self._prompt = asyncio.ensure_future(
            self._backend.render(TurnPrompt, self._backend.replicas.chat, turn.messages, kwargs, context_tokens)
        )
        self._prompt.add_done_callback(lambda made: made.cancelled() or made.exception())  # SUBMIT will tell
        self._own(self._prompt)
        self._warmer.begin_turn(self._prompt)
        self._pregenerator.begin_turn(self._prompt)
        await self._warmer.confirm(Confirm(0, turn.confirmed))

    async def _confirm(self, confirm: Confirm, received_at: float) -> None:
        await self._warmer.confirm(confirm)

    async def _defer(self, defer: Defer, received_at: float) -> None:
        outcome = FlushOutcome.INERT if self._warmer.inert_reason else FlushOutcome.DEFERRED
        await self._answer_flush(FlushResult(defer.seq, defer.confirmed_code_points, outcome))

    async def _unconfirm(self, unconfirm: Unconfirm, received_at: float) -> None:
        await self._warmer.confirm(Confirm(0, self._session.confirmed))

    async def _drafted(self, drafted: Drafted, received_at: float) -> None:
        self._pregenerator.drafted(drafted.text, received_at)

    async def _refuse(self, refuse: Refuse, received_at: float) -> None:
        await self._tell_refusal(Refusal(refuse.reason), refuse.seq, refuse.draft_code_points)

    async def _tell_refusal(self, refusal: Refusal, seq: int, draft_code_points: int, sent_text: str = "") -> None:
        self._backend.metrics.refused(refusal.reason)
        await self._send(SessionError(refusal.reason, str(refusal), seq, draft_code_points, sent_text))

    async def _close(self, close: Close, received_at: float) -> None:
        self.end(None)

    async def _answer_flush(self, result: FlushResult) -> None:
        self._backend.metrics.flushed(result.outcome, result.shed_reason)
        await self._send(result)

    async def _generate(self, generate: Generate, received_at: float) -> None:
        self._pregenerator.submitting()
        await self._warmer.stop_wanting()
        self._spawn(partial(self._answer, generate, Answer(generate.seq, received_at)))

    async def _answer(self, generate: Generate, answer: Answer) -> None:
        try:
            await self._answerer.run(answer, partial(self._final, generate.text))
        except Refusal as refusal:
            if refusal.reason not in _OF_AN_ANSWER:
                raise
            await self._fail_answer(refusal, answer)
        except EngineDied:
            raise
        except EngineError as error:
            log.info("an answer failed: %s", error)
            reason = Reason.GENERATION_INTERRUPTED if answer.first_token_at else Reason.GENERATION_FAILED
            await self._fail_answer(Refusal(reason, _for_the_client(error)), answer)
        else:
            await self._finish(answer)

    async def _final(self, text: str) -> TokenIds:
        if (begun := self._pregenerator.prompt_of(text)) is not None:
            return begun
        prompt: TokenIds = await self._backend.render((await self._prompt).final, text)
        return prompt

    async def _finish(self, answer: Answer) -> None:
        balance = await self._warmer.settle(answer.place, answer.prompt, answer.found_tokens, answer.token_ids)
        now = self._backend.clock()
        finished = GenerationFinished(
            answer.seq,
            answer.finish_reason or "stop",
            len(answer.prompt),
            answer.cached_tokens,
            len(answer.token_ids),
            render_seconds=answer.rendered_at - answer.received_at,
            ttft_seconds=answer.first_token_at - answer.received_at,
            total_seconds=now - answer.received_at,
            ledger=balance,
        )
        async with self._changing:  # the client may go on before our write returns
            await self._send(finished)
            await self._perform(self._session.answered("".join(answer.texts)), now)

    async def _fail_answer(self, refusal: Refusal, answer: Answer) -> None:
        async with self._changing:
            sent_text = "".join(answer.texts) if refusal.reason is Reason.GENERATION_INTERRUPTED else ""
            await self._tell_refusal(refusal, answer.seq, len(self._session.draft), sent_text)
            await self._perform(self._session.answer_failed(), answer.received_at)


def _for_the_client(error: EngineError) -> str:
    """Return what an engine said of a request; where servers are, and how they failed, is the operator's alone."""
    return "" if isinstance(error, EngineUnavailable | EngineBusy) else str(error)


def _cache_salt(scope: CacheScope, tenant: str) -> str | None:
    """Return what sets a session's blocks apart from those of others: of other tenants always."""
    if scope is CacheScope.SESSION:
        return secrets.token_hex(16)
    return hashlib.sha256(f"forefill tenant {tenant}".encode()).hexdigest() if tenant else None
