"""The connection of a chat: its session, where the orders of its user are carried out, one after the other.

Orders wait in a queue, which one task empties, so that typing never waits for the network. If the session ends, what
was said and the draft stay: `reopen` opens another one with them.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from forefill_client import (
    AsyncClient,
    ChatMessage,
    FlushResult,
    ForefillError,
    PregenerationUpdate,
    Sampling,
    Session,
    SessionState,
)

from . import orders
from .chat_state import ChatState, Link
from .error_words import in_words


class Side(Protocol):
    """The chat, as its connection sees it."""

    state: ChatState
    changed: Callable[[], None]
    """Called after each change of `state`."""
    say: Callable[[str], None]
    """Called with what the user should read."""

    def lost(self, error: ForefillError) -> None:
        """Fail what was asked of the session that has ended."""
        ...


class Connection:
    """One session after the other, each with the conversation of the last one."""

    def __init__(
        self, side: Side, client: AsyncClient, messages: Sequence[ChatMessage], sampling: Sampling | None
    ) -> None:
        #: The session that is open, if one is.
        self.session: Session | None = None
        self._side = side
        self._client = client
        self._messages = list(messages)
        self._sampling = sampling
        self._orders: asyncio.Queue[orders.Order] = asyncio.Queue()
        self._reopen = asyncio.Event()

    def order(self, order: orders.Order) -> None:
        """Have this carried out after what was ordered before."""
        self._orders.put_nowait(order)

    def reopen(self) -> None:
        """Open another session if the last one has ended."""
        self._reopen.set()

    async def run(self, opened: Callable[[], None]) -> None:
        """Keep a session open until this is cancelled; `opened` is called when the first one is.

        Raises ForefillError if even that cannot be opened.
        """
        await self._converse(opened, first=True)
        while True:
            await self._reopen.wait()
            await self._converse(lambda: None, first=False)

    async def _converse(self, opened: Callable[[], None], *, first: bool) -> None:
        """Open a session, and carry out the user's orders there until it ends."""
        state = self._side.state
        state.linked(Link.CONNECTING)
        self._side.changed()
        session = self._client.session(
            self._messages,
            sampling=self._sampling,
            draft=state.draft,
            on_flush=self._flushed,
            on_pregeneration=self._guessed,
            on_state=self._linked,
        )
        try:
            async with session:
                self.session, first = session, False
                state.opened(session.opened)
                self._side.changed()
                opened()
                await self._carry_out(session)
        except ForefillError as error:
            if first:
                raise
            self._closed(session, error)

    async def _carry_out(self, session: Session) -> None:
        while True:
            order = await self._orders.get()
            try:
                await order(session)
            except ForefillError as error:
                if not error.session_continues:
                    raise
                self._side.say(in_words(error))

    def _closed(self, session: Session, error: ForefillError) -> None:
        """Keep what was said, and fail what was asked."""
        if self.session is session:
            self._messages = list(session.messages)
        self.session, self._orders = None, asyncio.Queue()
        self._reopen.clear()
        self._side.lost(error)
        self._side.state.linked(Link.CLOSED, in_words(error))
        self._side.changed()

    # What the SDK tells.

    def _flushed(self, result: FlushResult) -> None:
        self._side.state.flushed(result)
        self._side.changed()

    def _guessed(self, update: PregenerationUpdate) -> None:
        self._side.state.guessed(update)
        self._side.changed()

    def _linked(self, state: SessionState, reason: ForefillError | None) -> None:
        if state is SessionState.OPEN:
            self._side.state.linked(Link.OPEN)
        elif state is SessionState.RECONNECTING:
            self._side.state.linked(Link.RECONNECTING, in_words(reason) if reason is not None else "")
        elif reason is not None:
            self.order(partial(orders.end, reason))
        self._side.changed()
