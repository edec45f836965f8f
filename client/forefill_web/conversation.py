"""The driver of one conversation: its session at the server, and the line to its browser if it has one.

`machine.py` decides; here is what waits. Whatever comes from a browser passes through one queue and is done in its
order, also what came just before the socket broke.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from forefill_chat.ledger_words import ledger_in_words
from forefill_client import Answer, AsyncClient, ChatMessage, ForefillError, InvalidRequest

from . import messages as said
from . import replies
from .actions import Action, Ask, Measure, Rewrite, Send, SetDraft, SetHint, Stop
from .defects import defect
from .limits import BridgeLimits
from .line import Line
from .lines import Lines
from .machine import TRY_LATER, Machine, Stage
from .options import SessionOptions
from .twins import Twins

UNHEARD_MESSAGES: Final = 16
"""So many messages of a browser wait here; then its socket is not read."""


class Conversation:
    """One conversation; `run` is its life. Without a line it goes on until `limits.keep_seconds` have passed."""

    def __init__(
        self,
        client: AsyncClient,
        options: SessionOptions,
        opening: said.Open,
        *,
        token: str,
        address: str,
        limits: BridgeLimits,
        twins: asyncio.Semaphore,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.token = token
        self.owner = options.owner
        self.address = address
        self.lines = Lines(limits.keep_seconds, self.drop)
        self._limits = limits
        self._clock = clock
        self._before = len(options.before)
        self._machine = Machine(limits.message_bytes)
        self._session = client.session(
            [*options.before, *_spoken(opening.messages)],
            **options.arguments(),
            on_flush=lambda result: self._tell(self._machine.flushed(result)),
            on_pregeneration=lambda update: self._tell(self._machine.guessed(update)),
            on_state=lambda state, reason: self._tell(self._machine.moved(state, reason)),
        )
        self._twins = Twins(client, options.sampling, twins)
        self._answer: Answer | None = None
        self._heard: asyncio.Queue[tuple[Line, said.Message]] = asyncio.Queue(UNHEARD_MESSAGES)
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def over(self) -> bool:
        """Whether it has no use for another line."""
        return self._ended.is_set()

    async def hear(self, line: Line, message: said.Message) -> None:
        """Take in a message from a line; waits while too many are unheard."""
        await self._heard.put((line, message))

    def drop(self, code: int = TRY_LATER) -> None:
        """End the conversation; a line that it has is closed with this code."""
        self.lines.close(code)
        self._ended.set()

    # Life.

    async def run(self) -> None:
        """Open the session, do what the browser says, and end the session."""
        try:
            async with self._session:
                if limit := self._session.opened.limits.max_draft_code_points:
                    self._machine.box.max_code_points = limit
                await self._live()
        except ForefillError as error:
            self._tell(self._machine.broken(error))
        except Exception as error:
            self._tell(self._machine.broken(defect(error)))
        finally:
            self.lines.stop_clock()
            self.drop()

    async def _live(self) -> None:
        self._start(self._watch())
        self._start(self._listen())
        try:
            await self._ended.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._owned(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _owned(self, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of the work; a defect in it ends the conversation, and no other."""
        try:
            await work
        except Exception as error:
            self._tell(self._machine.broken(defect(error)))

    async def _watch(self) -> None:
        self._tell(self._machine.broken(await self._session.wait_closed()))

    async def _listen(self) -> None:
        while True:
            line, message = await self._heard.get()
            if isinstance(message, said.Open) and self.lines.awaits(line):
                await self._attach(line, message.draft)
            elif line is self.lines.latest:
                await self._do(self._machine.receive(message, self._clock()))

    async def _attach(self, line: Line, draft: str) -> None:
        """Have a line of which nothing was heard but `open`."""
        resumed = self.lines.latest is not None
        self.lines.attach(line)
        machine = self._machine
        opened = replies.opened(
            self.token,
            self._session.opened,
            self._session.messages[self._before :],
            resumed=resumed,
            draft=machine.box.draft,
            turn=machine.turn,
            answer=None if machine.answer is None else machine.answer.snapshot(),
        )
        line.put(opened)
        await self._do(machine.attached(draft))

    # What is done.

    def _tell(self, actions: list[Action]) -> None:
        """Do what is done at once."""
        over = self._machine.stage is Stage.OVER
        self.lines.tell(actions, over=over)
        if over:
            self._ended.set()

    async def _do(self, actions: list[Action]) -> None:
        for action in actions:
            try:
                await self._do_one(action)
            except ForefillError as error:
                if isinstance(action, Ask):
                    self._tell(self._machine.failed(action.turn, error))
                elif error.session_continues:
                    self._tell([Send(replies.error(error))])

    async def _do_one(self, action: Action) -> None:
        match action:
            case SetDraft(text, composing):
                await self._session.set_draft(text, composing=composing)
            case SetHint(likely):
                await self._session.hint(likely=likely)
            case Ask(turn, text):
                await self._ask(turn, text)
            case Rewrite(keep, messages):
                await self._rewrite(keep, messages)
            case Stop(keep_text) if self._answer is not None:
                self._start(self._stop(self._answer, keep_text))
            case Measure(turn):
                self._start(self._measure(turn))
            case _:
                self._tell([action])

    async def _ask(self, turn: int, text: str | None) -> None:
        if text is None and len(self._session.messages) < self._before + 2:
            raise InvalidRequest("there is no answer to give once more", session_continues=True)
        self._answer = await (self._session.regenerate() if text is None else self._session.submit(text))
        asked, messages = self._answer.submitted_text, self._session.messages
        if not asked:  # it answers the conversation's last message
            asked, messages = messages[-1].content, messages[:-1]
        self._machine.asked(turn, asked)
        self._twins.asked(turn, messages, asked)
        self._start(self._read(turn, self._answer))

    async def _read(self, turn: int, answer: Answer) -> None:
        try:
            async for part in answer.parts():
                now = self._clock()
                if (ttft_ms := self._machine.ttft_ms(turn, now)) is not None:
                    self._twins.waited(turn, ttft_ms)
                self._tell(self._machine.came(turn, part, answer.started, now))
            self._tell(self._machine.finished(turn, answer.report, ledger_in_words(answer.report)))
        except ForefillError as error:
            self._tell(self._machine.failed(turn, error))

    async def _rewrite(self, keep: int, messages: tuple[said.Said, ...]) -> None:
        there = len(self._session.messages) - self._before
        if keep > there or keep + len(messages) > self._limits.messages:
            raise InvalidRequest(
                f"{keep} of {there} messages cannot be kept, or {len(messages)} are too many to follow",
                session_continues=True,
                reason="INVALID_REWRITE",
            )
        await self._session.rewrite(self._before + keep, _spoken(messages))

    async def _stop(self, answer: Answer, keep_text: bool) -> None:
        with contextlib.suppress(ForefillError):  # what ended the session is told by `_watch`
            await answer.cancel(keep_text=keep_text)

    async def _measure(self, turn: int) -> None:
        self._tell([Send(await self._twins.measure(turn))])


def _spoken(messages: tuple[said.Said, ...]) -> list[ChatMessage]:
    return [ChatMessage(message.role, message.content) for message in messages]
