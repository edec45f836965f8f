"""Drives one session on one engine: its tasks, the lock on its state, and what is done for each action.

Six kinds of tasks belong to a session: one reads events, one warms (`Warmer`), one works in pauses (`Pauses`), one
tells the client what is begun in them (`GuessNews`), one per SUBMIT answers (`Answerer`), and one per HandOff tells the
application how to ask itself (`HandOffs`). All end with `run`, which returns after END, or raises the Refusal that
ended the session.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial

from ..access.caller import ANYBODY, Caller, Permission
from ..chat.messages import ChatMessage
from ..errors import Reason, Refusal
from ..fleet.backend import Backend
from ..fleet.streams import StreamRecord
from ..session.actions import (
    Action,
    BeginTurn,
    Close,
    Confirm,
    Defer,
    Drafted,
    Generate,
    HandOver,
    Hinted,
    Refuse,
    Settle,
    Stop,
)
from ..session.events import HandOff, KeystrokeEvent, Open, Rewrite, Unknown, WarmMode
from ..session.ledger import Ledger
from ..session.machine import Phase, Session
from ..session.responses import (
    CANCELLED,
    FlushOutcome,
    FlushResult,
    GoAway,
    Opened,
    Response,
    SessionError,
    SessionLimits,
)
from .acceptance import Acceptance
from .answer import Failed
from .answerer import Answerer
from .content_limits import ContentLimits
from .guess_news import GuessNews
from .guesser import Guesser
from .hand_off import HandOffs
from .owner import Owner
from .pauses import Pauses
from .prefiller import Prefiller
from .pregeneration_task import Pregenerator
from .prompts import Prompts
from .tasks import Interruption, SessionTasks
from .turn import Turn
from .warmer import Warmer, Wish

Event = Open | KeystrokeEvent | Unknown


class SessionRunner:
    """One session, from its Open to its end.

    `deliver` delivers one response; it may raise Refusal if the client does not take it. `stream` is told what comes
    and goes.
    """

    def __init__(
        self,
        backend: Backend,
        opening: Open,
        deliver: Callable[[Response], Awaitable[None]],
        caller: Caller = ANYBODY,
        stream: StreamRecord | None = None,
    ) -> None:
        self._backend = backend
        self._opening = opening
        self._stream = stream = stream or StreamRecord(backend.metrics)
        settings = backend.settings
        self._session = Session(
            settings.sessions.max_draft_code_points,
            ContentLimits.of(settings, backend.info.context_tokens).open_bytes,
            offers_hand_off=backend.hand_off_urls.offered and Permission.HAND_OFF in caller.permissions,
        )
        self._owner = owner = Owner.of(backend, opening, caller, stream)
        prefiller = Prefiller(owner)
        off_reason = "this session asked for WARM_MODE_OFF" if opening.warm_mode is WarmMode.OFF else ""
        guesser = Guesser(owner, opening.pregeneration_mode)
        self._send = send = partial(_send, stream, deliver)
        self._warmer = Warmer(owner, prefiller, send, enter_at=guesser.enter_at, off_reason=off_reason)
        self._guess_news = GuessNews(send, wanted=opening.report_pregenerations)
        pregenerator = Pregenerator(owner, prefiller, guesser, self._guess_news.add)
        self._pauses = Pauses(owner, self._warmer, guesser, pregenerator)
        self._acceptance = Acceptance(owner, opening)
        self._answerer = Answerer(owner, self._acceptance, prefiller, self._warmer, pregenerator, send)
        self._hand_offs = HandOffs(owner, prefiller, self._warmer, send)
        self._turn: Turn | None = None
        self._interruption = Interruption()
        self._transition_lock = asyncio.Lock()  # one at a time: events from the client, and the ends of answers
        self._tasks = SessionTasks()
        self._stopping = False
        self._goes_away: float | None = None
        self._is_open = False
        self.heard_at = backend.clock()
        """When the last event came, or the last answer ended."""

    async def run(self, events: AsyncIterator[Event]) -> None:
        """Run the session on the events after its Open.

        Raises Refusal if the stream cannot go on, ABORTED among them: the events ended without END.
        """
        self._backend.idle_refresher.add(self._warmer)
        self._stream.opened(self._owner.caller)
        try:
            with self._owner.route.open():
                await self._tasks.run(partial(self._open_and_read, events))
        finally:
            self._backend.idle_refresher.discard(self._warmer)
            self._pauses.end_turn()
            if self._turn is not None:
                self._owner.book(self._turn.ledger.abandon())

    def go_away(self, within_seconds: float) -> None:
        """Tell the client that the server stops, and when; once, and not before it knows that the session is open."""
        self._goes_away = within_seconds
        if self._is_open and not self._tasks.ended:
            self._tasks.spawn(partial(self._say_go_away, within_seconds))

    def stop(self) -> None:
        """End the session because the server stops: at once, or when the running answer is complete."""
        self._stopping = True
        self.end_between_answers(Reason.SERVER_STOPPING)

    def end(self, reason: Reason) -> None:
        """End the session now, in the middle of an answer if one runs."""
        self._tasks.end(Refusal(reason))

    def end_between_answers(self, reason: Reason) -> None:
        """End the session now, unless an answer is running."""
        if self._session.phase not in (Phase.GENERATING, Phase.CLOSING):
            self.end(reason)

    async def _open_and_read(self, events: AsyncIterator[Event]) -> None:
        if self._opening.continue_final_message and not self._backend.info.continues_messages:
            raise Refusal(
                Reason.INVALID_OPEN, "continue_final_message is not possible with this model's chats (Harmony)"
            )
        await self._acceptance.open()
        await self._receive(self._opening)
        self._opening = replace(self._opening, messages=(), draft="")  # the session has them, and may drop them
        base = await self._current_turn.prompts.base()
        await self._send(self._opened(len(base)))
        self._is_open = True
        if self._goes_away is not None:
            await self._say_go_away(self._goes_away)
        self._tasks.spawn(self._warmer.run)
        self._tasks.spawn(self._pauses.run)
        self._tasks.spawn(self._guess_news.run)
        async for event in events:
            await self._receive(event)
        if self._session.phase is not Phase.CLOSING:  # a crash looks like a goodbye, so only END is one
            raise Refusal(Reason.ABORTED)

    async def _receive(self, event: Event) -> None:
        received_at = self._backend.clock()
        self._stream.received(event)
        if isinstance(event, KeystrokeEvent) and isinstance(event.kind, Rewrite | HandOff):
            await self._current_turn.prompts.made()  # each has a whole conversation rendered: one after the other
        async with self._transition_lock:
            await self._perform(self._session.receive(event), received_at)

    async def _perform(self, actions: list[Action], now: float) -> None:
        self.heard_at = now
        for action in actions:
            match action:
                case BeginTurn():
                    await self._begin_turn(action)
                case Confirm(seq, confirmed):
                    await self._warmer.wish(Wish(self._current_turn, confirmed, seq))
                case Defer():
                    await self._defer(action)
                case Drafted(text, composed_code_points):
                    self._pauses.drafted(self._current_turn, text, composed_code_points, now)
                case Hinted(likely):
                    self._pauses.hinted(likely)
                case Generate(_, text, _, choice):
                    if text is None:
                        self._pauses.end_turn()
                    else:
                        self._pauses.submitting(text, now)
                    await self._warmer.withdraw()
                    self._interruption = Interruption()
                    turn = self._current_turn.choosing(choice)
                    self._tasks.spawn(partial(self._answer, turn, action, now, self._interruption))
                case Stop():
                    self._interruption.ask()
                case HandOver(_, text, choice):
                    self._pauses.handing_off(text, now)
                    await self._warmer.withdraw()
                    hand_off = self._hand_offs.begin(self._current_turn.choosing(choice), action, now)
                    self._tasks.spawn(partial(self._hand_offs.run, hand_off))
                case Settle():
                    await self._send(await self._hand_offs.settle(action, now))
                case Refuse(reason, seq, draft_code_points, detail):
                    await self._refuse(Refusal(reason, detail), seq, draft_code_points)
                case Close():
                    await self._warmer.close()
                    self._tasks.end(None)

    @property
    def _current_turn(self) -> Turn:
        if self._turn is None:
            raise RuntimeError("Open begins the first turn")
        return self._turn

    async def _begin_turn(self, begin: BeginTurn) -> None:
        if self._stopping:
            raise Refusal(Reason.SERVER_STOPPING)
        self._pauses.end_turn()
        prompts = self._prompts(begin.messages)
        if (last := self._turn) is None:
            self._turn = Turn(prompts)
        else:  # books that no answer has closed go on
            ledger = Ledger() if last.ledger.closed else last.ledger
            last.prompts.end()
            self._turn = Turn(prompts, ledger)
        await self._warmer.wish(Wish(self._turn, begin.confirmed))

    def _prompts(self, messages: tuple[ChatMessage, ...]) -> Prompts:
        """Have the prompts of a turn made in the background; they are waited for if they are needed before."""
        endpoint = self._owner.route.now.replica.engine.chat_endpoint
        conversation = self._opening.conversation(messages)
        return Prompts(self._backend, endpoint, conversation, self._tasks.own, self._owner.render)

    async def _say_go_away(self, within_seconds: float) -> None:
        await self._send(GoAway(within_seconds, self._owner.route.resume_token))

    def _opened(self, base_prompt_tokens: int) -> Opened:
        info, settings = self._backend.info, self._backend.settings
        limits = SessionLimits(
            settings.sessions.max_draft_code_points, info.context_tokens, settings.server.max_message_bytes
        )
        inert_reason = self._warmer.inert_reason
        owner = self._owner
        return Opened(
            owner.session,
            info.model,
            info.block_size,
            limits,
            base_prompt_tokens,
            inert_reason,
            owner.route.resume_token,
            splits_answers=self._acceptance.splits_answers,
        )

    async def _defer(self, defer: Defer) -> None:
        outcome = FlushOutcome.INERT if self._warmer.inert_reason else FlushOutcome.DEFERRED
        await self._send(FlushResult(defer.seq, defer.confirmed_code_points, outcome))

    async def _refuse(self, refusal: Refusal, seq: int, draft_code_points: int, sent_text: str = "") -> None:
        self._backend.metrics.refused(refusal.reason)
        wait = refusal.retry_after_seconds or 0.0
        await self._send(SessionError(refusal.reason, str(refusal), seq, draft_code_points, sent_text, wait))

    async def _answer(self, turn: Turn, generate: Generate, received_at: float, interruption: Interruption) -> None:
        ended = await self._answerer.run(turn, generate, received_at, interruption)
        async with self._transition_lock:  # the client may go on before our write returns
            if isinstance(ended, Failed):
                actions = self._session.answer_failed()
                await self._refuse(ended.refusal, generate.seq, len(self._session.draft), ended.sent_text)
            else:
                await self._send(ended.finished)
                if ended.finished.reason == CANCELLED:
                    actions = self._session.cancelled(ended.text)
                else:
                    actions = self._session.answered(ended.text, ended.tool_calls)
            await self._perform(actions, self._backend.clock())


async def _send(
    stream: StreamRecord, deliver: Callable[[Response], Awaitable[None]], response: Response
) -> None:  # no method: a cycle of references would keep what was typed until the garbage collector finds it
    stream.sent(response)
    await deliver(response)
