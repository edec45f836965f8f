"""The gRPC side of a session: messages in and out, and one status for each end of a stream."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import count

import grpc
from forefill.v1 import keystroke_pb2 as pb

from ..access.caller import Caller, Permission
from ..access.gate import Gate
from ..errors import Reason, Refusal, forget, trace_without_message
from ..fleet.backend import Backend
from ..fleet.fair_queue import Line
from ..fleet.streams import StreamRecord
from ..serving.content_limits import ContentLimits
from ..serving.runner import Event, SessionRunner
from ..session.events import Open
from ..session.responses import Response
from .incoming import events_of
from .open_sessions import OpenSessions
from .pacing import paced
from .reflection import credentials_of
from .statuses import abort
from .to_messages import response_to_message

log = logging.getLogger(__name__)

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["KeystrokeService"].full_name
LEAST_UNOPENED = 64
"""So many streams may wait in any case: of some that come at once, the first may be about to send Open."""

Context = grpc.aio.ServicerContext[bytes, pb.ComposeResponse]


class KeystrokeServicer:
    """Serves `forefill.v1.KeystrokeService`.

    `engine_died` is set when the engine is lost for good, and `left` while there is no stream.
    """

    def __init__(self, backend: Backend, gate: Gate | None = None) -> None:
        self._backend = backend
        self._gate = gate or Gate.of(backend.settings.access)
        self.open_sessions = OpenSessions(backend, self._gate)
        self._streams = 0
        self._stream_numbers = count(1)
        self._unopened: dict[asyncio.Timeout, None] = {}  # in the order in which they came
        self._stopping = False
        self.left = asyncio.Event()
        self.left.set()
        self.engine_died = asyncio.Event()

    @property
    def streams(self) -> int:
        """The number of streams, including those that have not sent Open yet."""
        return self._streams

    @property
    def sessions(self) -> int:
        """The number of open sessions."""
        return len(self.open_sessions)

    async def watch(self) -> None:
        """End the sessions of callers who have left, and those that are too old or too silent, until cancelled."""
        await self.open_sessions.run()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register with a server. Messages come as bytes: their size is checked before they are parsed."""
        compose = grpc.stream_stream_rpc_method_handler(self.Compose, bytes, pb.ComposeResponse.SerializeToString)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, {"Compose": compose}),))

    def go_away(self, seconds: float) -> None:
        """Refuse new sessions, and tell the open ones to go away within so many seconds."""
        self._refuse_new()
        for runner in self.open_sessions.runners():
            runner.go_away(seconds)

    def stop(self) -> None:
        """Refuse new sessions, end those that are composing, and the others after their answer, if one can come."""
        self._refuse_new()
        if self.engine_died.is_set():
            self.end()
        for runner in self.open_sessions.runners():
            runner.stop()

    def end(self) -> None:
        """End all sessions now."""
        for runner in self.open_sessions.runners():
            runner.end(self._why_it_stops)

    @property
    def _why_it_stops(self) -> Reason:
        return Reason.ENGINE_UNAVAILABLE if self.engine_died.is_set() else Reason.SERVER_STOPPING

    def _refuse_new(self) -> None:
        self._stopping = True
        for waiting in self._unopened:
            _end_now(waiting)

    async def Compose(self, _: AsyncIterator[bytes], context: Context) -> None:  # noqa: N802 - gRPC's name
        """Serve one stream, read by `context.read` because the iterator keeps each request until the next comes."""
        self._streams += 1
        self.left.clear()
        stream = self._backend.stream(context.invocation_metadata())
        try:
            await self._serve(context, stream)
            stream.ended()
        except Refusal as refusal:
            forget(refusal)
            await self._abort(context, stream, refusal)
        except (Exception, BaseExceptionGroup) as error:  # the text of an unforeseen error must not reach the client
            error_id = secrets.token_hex(8)
            log.error("a session failed; error id %s\n%s", error_id, trace_without_message(error))
            forget(error)
            await self._abort(context, stream, Refusal(Reason.INTERNAL), error_id)
        finally:
            stream.close()
            self._streams -= 1
            if not self._streams:
                self.left.set()

    async def _serve(self, context: Context, stream: StreamRecord) -> None:
        self._check_room()
        credentials = credentials_of(context, self._backend.settings)
        caller = self._gate.for_tenant(await self._gate.admit(credentials, Permission.COMPOSE), credentials)
        share = self._backend.shares.share(caller)
        events = paced(self._events(context, caller), share, self._backend)
        opening = await self._first(events)
        self._check_room()
        if opening is None:
            raise Refusal(Reason.ABORTED)
        if not isinstance(opening, Open):
            raise Refusal(Reason.NOT_OPEN)
        writes, its_turn = asyncio.Lock(), AsyncExitStack()

        async def send(response: Response) -> None:
            await its_turn.aclose()  # with the first response the session is open
            message = response_to_message(response)
            try:
                async with asyncio.timeout(self._backend.settings.sessions.write_timeout_seconds), writes:
                    await context.write(message)
            except TimeoutError:
                raise Refusal(Reason.CLIENT_TOO_SLOW) from None
            except grpc.aio.BaseError:  # as in `_read`
                raise Refusal(Reason.ABORTED) from None

        async with AsyncExitStack() as place, its_turn:
            try:
                place.enter_context(self._backend.shares.session(caller))
            except Refusal:
                del opening, events  # they may be long
                await self._backend.sleep(share.refusal_seconds)
                raise
            await its_turn.enter_async_context(share.opening)
            self._check_room()
            runner = SessionRunner(self._backend, opening, send, caller, stream)
            del opening  # it may be long, and the session keeps what it needs
            with self.open_sessions.holding(runner, caller, credentials):
                await runner.run(events)

    def _check_room(self) -> None:
        if self._stopping:
            raise Refusal(self._why_it_stops)
        self.open_sessions.check_room()

    def _events(self, context: Context, caller: Caller) -> AsyncIterator[Event]:
        """Return the events of a stream; what is long of them is made for its caller, beside what its session makes."""
        limits = ContentLimits.of(self._backend.settings, self._backend.info.context_tokens)
        line = Line(caller.key, f"messages of stream {next(self._stream_numbers)}")
        return events_of(partial(_read, context), limits, partial(self._backend.render, line=line))

    async def _first(self, events: AsyncIterator[Event]) -> Event | None:
        """Wait for the first event; raise Refusal if it takes too long, or if the server stops first.

        As many streams may wait in it as there may be sessions, and some at least. One more ends the one that has been
        silent for longest, so that silent streams take nobody's place.
        """
        seconds = self._backend.settings.sessions.open_timeout_seconds
        if len(self._unopened) >= max(LEAST_UNOPENED, self._backend.settings.sessions.max_open):
            longest = next(iter(self._unopened))
            del self._unopened[longest]
            _end_now(longest)
        waiting = asyncio.timeout(seconds)
        try:
            async with waiting:
                self._unopened[waiting] = None
                return await anext(events, None)
        except TimeoutError:
            if self._stopping:
                raise Refusal(self._why_it_stops) from None
            why = f"nothing arrived within {seconds:g} s" if waiting in self._unopened else "others wait for its place"
            raise Refusal(Reason.NOT_OPEN, why) from None
        finally:
            self._unopened.pop(waiting, None)

    async def _abort(self, context: Context, stream: StreamRecord, refusal: Refusal, error_id: str = "") -> None:
        stream.refused(refusal.reason)
        if refusal.reason is Reason.ENGINE_UNAVAILABLE:
            self.engine_died.set()
        await abort(context, refusal, error_id)


def _end_now(waiting: asyncio.Timeout) -> None:
    if not waiting.expired():
        waiting.reschedule(asyncio.get_running_loop().time())


async def _read(context: Context) -> object:
    try:
        return await context.read()
    except grpc.aio.BaseError:  # the client has gone away; after the server's end that is an error without a name
        raise Refusal(Reason.ABORTED) from None
