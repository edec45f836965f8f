"""The WebSocket endpoint that a product mounts in its own application."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Final, Self

from forefill_client import AsyncClient, ForefillError
from starlette.websockets import WebSocket

from . import messages as said
from . import replies
from .conversation import Conversation
from .kept import Kept, new_token
from .limits import BridgeLimits
from .line import Line
from .machine import OVER_FOR_GOOD, TRY_LATER
from .options import SessionOptions
from .origins import may_open, origins
from .places import Places
from .reader import Gone, Reader, TooLarge

SUBPROTOCOL: Final = "forefill.v1"
TOO_LARGE: Final = 1009
RESTART: Final = 1012
STOP_SECONDS: Final = 5.0
"""How long sessions may take to end in good order, when the bridge is left."""
TWINS_AT_A_TIME: Final = 2
"""Each takes the engine's time for two prompts that are not cached."""
DEFAULT_LIMITS: Final = BridgeLimits()

OptionsOf = Callable[[WebSocket], Awaitable[SessionOptions]]


class Bridge:
    """Serves browsers that use forefill.js, each with a session of one client; see SOCKET.md.

    Mount `endpoint` in an application of Starlette or FastAPI, and enter the bridge for as long as that serves:

        bridge = Bridge(client, SessionOptions(before=[("system", "You write SQL.")]))

        @asynccontextmanager
        async def lifespan(app):
            async with client, bridge:
                yield

        app = Starlette(routes=[WebSocketRoute("/socket", bridge.endpoint)], lifespan=lifespan)

    When it is left, sockets are closed with 1012, and their conversations are over.

    Have the application refuse requests by other names than its own, as Starlette's TrustedHostMiddleware does: a page
    of another name that resolves to this host is of the endpoint's own origin.

    Args:
        client: The client of the forefill server.
        session_options: How sessions are opened; or a function that returns that for one socket, for example by the
            user in `socket.session`. It is called before the socket is accepted: to refuse it, raise
            `starlette.exceptions.WebSocketException`.
        limits: What browsers may have.
        allowed_origins: Origins of pages that may open a socket, such as "https://www.example.com", beside pages of the
            endpoint's own origin. Behind a proxy that speaks TLS, name the public origin.
        allow_missing_origin: Whether programs that are no browsers, and send no Origin, may open a socket, too.

    Raises:
        ValueError: An allowed origin is none.
    """

    def __init__(
        self,
        client: AsyncClient,
        session_options: SessionOptions | OptionsOf = SessionOptions(),  # noqa: B008 - it is frozen
        *,
        limits: BridgeLimits = DEFAULT_LIMITS,
        allowed_origins: Iterable[str] = (),
        allow_missing_origin: bool = False,
    ) -> None:
        self._client = client
        self._session_options = session_options
        self._limits = limits
        self._allowed_origins = origins(allowed_origins)
        self._allow_missing_origin = allow_missing_origin
        self._sockets = Places(limits.sockets, limits.sockets_per_address)
        self._kept = Kept(limits)
        self._lines: set[Line] = set()
        self._twins = asyncio.Semaphore(TWINS_AT_A_TIME)
        self._conversations: asyncio.TaskGroup | None = None
        self._left = False

    async def __aenter__(self) -> Self:
        if self._conversations is not None:
            raise RuntimeError("the bridge is entered already")
        self._conversations = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        conversations, self._conversations, self._left = self._conversations, None, True
        for line in self._lines:
            line.close(RESTART)
        for conversation in self._kept:
            conversation.drop(RESTART)
        if conversations is not None:
            with contextlib.suppress(TimeoutError):  # a server that does not answer is left
                async with asyncio.timeout(STOP_SECONDS):
                    await conversations.__aexit__(None, None, None)  # what ended us is no reason to cut them off

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one socket, until it is closed. One that may not be opened gets the status 403."""
        if self._conversations is None and not self._left:
            raise RuntimeError("enter the bridge first: `async with bridge` in the application's lifespan")
        if self._left or not self._may_open(socket):
            await socket.close()
            return
        options = self._session_options
        if not isinstance(options, SessionOptions):
            options = await options(socket)
        await socket.accept(SUBPROTOCOL)
        address = socket.client.host if socket.client else ""
        line = Line(socket, address, self._limits)
        if not self._sockets.take(address):
            line.put(_full("sockets"))
            line.close(TRY_LATER)
            await line.write()
            return
        self._lines.add(line)
        try:
            await self._serve(socket, line, options)
        finally:
            self._lines.discard(line)
            self._sockets.leave(address)

    def _may_open(self, socket: WebSocket) -> bool:
        """Return whether it is asked for by a page that may, in our protocol."""
        return SUBPROTOCOL in socket.scope.get("subprotocols", ()) and may_open(
            socket.headers.getlist("origin"),
            socket.url.scheme,
            socket.headers.getlist("host"),
            self._allowed_origins,
            missing_is_allowed=self._allow_missing_origin,
        )

    async def _serve(self, socket: WebSocket, line: Line, options: SessionOptions) -> None:
        reading = asyncio.create_task(self._read(Reader(socket, self._limits), line, options))
        writing = asyncio.create_task(line.write())
        try:
            await asyncio.wait({reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if line.closing:
                await writing
        finally:
            for task in (reading, writing):
                task.cancel()
            await asyncio.gather(reading, writing, return_exceptions=True)

    async def _read(self, reader: Reader, line: Line, options: SessionOptions) -> None:
        """Read a socket to its end; a line that has to be closed then is."""
        try:
            async with asyncio.timeout(self._limits.open_seconds):
                opening = await reader.next()
            conversation = self._conversation_of(line, opening, options)
            try:
                await conversation.hear(line, opening)
                while True:
                    await conversation.hear(line, await reader.next())
            finally:
                conversation.lines.detach(line)
        except Gone:
            return
        except TooLarge:
            line.close(TOO_LARGE)
        except TimeoutError:
            line.close(TRY_LATER)
        except said.Malformed as error:
            line.put(replies.error_of("MALFORMED_MESSAGE", str(error)))
            line.close(OVER_FOR_GOOD)
        except Refused as refused:
            line.put(refused.error)
            line.close(refused.code)

    def _conversation_of(self, line: Line, opening: said.Message, options: SessionOptions) -> Conversation:
        """Return the conversation that a first message asks for, which then expects the line. Raises Refused."""
        if not isinstance(opening, said.Open):
            raise Refused(replies.error_of("NOT_OPEN", "the first message must be `open`"), OVER_FOR_GOOD)
        conversation = self._kept.find(opening.token, options.owner) if opening.token else None
        conversation = conversation or self._new_conversation(line, opening, options)
        conversation.lines.expect(line)
        return conversation

    def _new_conversation(self, line: Line, opening: said.Open, options: SessionOptions) -> Conversation:
        if len(opening.messages) > self._limits.messages:
            message = f"a conversation may begin with {self._limits.messages} messages: give fewer"
            raise Refused(replies.error_of("INVALID_OPEN", message), OVER_FOR_GOOD)
        try:
            conversation = Conversation(
                self._client,
                options,
                opening,
                token=new_token(),
                address=line.address,
                limits=self._limits,
                twins=self._twins,
            )
        except ForefillError as error:
            raise Refused(replies.error(error), OVER_FOR_GOOD) from None
        if self._conversations is None or not self._kept.add(conversation):
            raise Refused(_full("conversations"), TRY_LATER)
        self._conversations.create_task(self._live(conversation))
        return conversation

    async def _live(self, conversation: Conversation) -> None:
        try:
            await conversation.run()
        finally:
            self._kept.remove(conversation)


class Refused(Exception):
    """Raised when a socket cannot have what it asks for; its browser gets the error, and the socket is closed."""

    def __init__(self, error: replies.Reply, code: int) -> None:
        super().__init__(error["reason"])
        self.error = error
        self.code = code


def _full(what: str) -> replies.Reply:
    message = f"there are as many {what} as the bridge accepts: try again later"
    return replies.error_of("TOO_MANY_SESSIONS", message, retry_after_ms=1000)
