"""The gRPC side of a session: messages in and out, and one status for each end of a stream."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator

import grpc
from forefill.v1 import keystroke_pb2 as pb
from google.protobuf.message import DecodeError

from ..errors import Reason, Refusal, trace_without_message
from ..fleet.backend import Backend
from ..serving.runner import Event, SessionRunner
from ..session.events import Open
from ..session.responses import Response
from .from_messages import event_from
from .statuses import abort
from .to_messages import response_to_message

log = logging.getLogger(__name__)

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["KeystrokeService"].full_name
LEAST_UNOPENED = 64
"""So many streams may wait in any case: of some that come at once, the first may be about to send Open."""

Incoming = pb.ComposeRequest | Refusal
Context = grpc.aio.ServicerContext[Incoming, pb.ComposeResponse]


class KeystrokeServicer:
    """Serves `forefill.v1.KeystrokeService`.

    `engine_died` is set when the engine is lost for good, and `left` while there is no stream.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._runners: set[SessionRunner] = set()
        self._streams = 0
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
        return len(self._runners)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register with a server. A message that cannot be parsed becomes a Refusal instead of gRPC's own INTERNAL."""
        compose = grpc.stream_stream_rpc_method_handler(self.Compose, _parse, pb.ComposeResponse.SerializeToString)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, {"Compose": compose}),))

    def go_away(self, seconds: float) -> None:
        """Refuse new sessions, and tell the open ones to go away within so many seconds."""
        self._refuse_new()
        for runner in list(self._runners):
            runner.go_away(seconds)

    def stop(self) -> None:
        """Refuse new sessions, end those that are composing, and the others after their answer, if one can come."""
        self._refuse_new()
        if self.engine_died.is_set():
            self.end()
        for runner in list(self._runners):
            runner.stop()

    def end(self) -> None:
        """End all sessions now."""
        for runner in list(self._runners):
            runner.end(self._why_it_stops)

    @property
    def _why_it_stops(self) -> Reason:
        return Reason.ENGINE_UNAVAILABLE if self.engine_died.is_set() else Reason.SERVER_STOPPING

    def _refuse_new(self) -> None:
        self._stopping = True
        for waiting in self._unopened:
            _end_now(waiting)

    async def Compose(self, _: AsyncIterator[Incoming], context: Context) -> None:  # noqa: N802 - gRPC's name
        """Serve one stream, read by `context.read` because the iterator keeps each request until the next comes."""
        self._streams += 1
        self.left.clear()
        try:
            await self._serve(context)
        except Refusal as refusal:
            await self._abort(context, refusal)
        except (Exception, BaseExceptionGroup) as error:  # the text of an unforeseen error must not reach the client
            error_id = secrets.token_hex(8)
            log.error("a session failed; error id %s\n%s", error_id, trace_without_message(error))
            await self._abort(context, Refusal(Reason.INTERNAL), error_id)
        finally:
            self._streams -= 1
            if not self._streams:
                self.left.set()

    async def _serve(self, context: Context) -> None:
        if self._stopping:
            raise Refusal(self._why_it_stops)
        self._check_room()
        tenant = self._tenant(context)
        events = _events(context)
        opening = await self._first(events)
        if self._stopping:
            raise Refusal(self._why_it_stops)
        if opening is None:
            raise Refusal(Reason.ABORTED)
        if not isinstance(opening, Open):
            raise Refusal(Reason.NOT_OPEN)
        self._check_room()
        writes = asyncio.Lock()

        async def send(response: Response) -> None:
            message = response_to_message(response)
            try:
                async with asyncio.timeout(self._backend.settings.sessions.write_timeout_seconds), writes:
                    await context.write(message)
            except TimeoutError:
                raise Refusal(Reason.CLIENT_TOO_SLOW) from None
            except grpc.aio.BaseError:  # as in `_read`
                raise Refusal(Reason.ABORTED) from None

        runner = SessionRunner(self._backend, opening, send, tenant)
        self._runners.add(runner)
        self._backend.metrics.opened()
        try:
            await runner.run(events)
        finally:
            self._runners.discard(runner)
            self._backend.metrics.closed()

    def _check_room(self) -> None:
        """Raise Refusal if there is no room for one more session."""
        if self.sessions >= self._backend.settings.sessions.max_open:
            raise Refusal(Reason.TOO_MANY_SESSIONS)

    def _tenant(self, context: Context) -> str:
        """Return the tenant named by the proxy in front; "" if there is only one.

        Raises Refusal if it names none, or if more than one is named: then one of them is the caller's own word.
        """
        key = self._backend.settings.sessions.tenant_metadata_key.lower()
        if not key:
            return ""
        named = [str(value) for name, value in context.invocation_metadata() or () if name == key]
        if len(named) != 1 or not named[0]:
            raise Refusal(Reason.TENANT_UNKNOWN)
        return named[0]

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

    async def _abort(self, context: Context, refusal: Refusal, error_id: str = "") -> None:
        self._backend.metrics.refused(refusal.reason)
        if refusal.reason is Reason.ENGINE_UNAVAILABLE:
            self.engine_died.set()
        await abort(context, refusal, error_id)


def _end_now(waiting: asyncio.Timeout) -> None:
    if not waiting.expired():
        waiting.reschedule(asyncio.get_running_loop().time())


async def _events(context: Context) -> AsyncIterator[Event]:
    opened = False
    while (event := _event(await _read(context), opened)) is not None:
        opened = True
        yield event


async def _read(context: Context) -> Incoming | object:
    try:
        return await context.read()
    except grpc.aio.BaseError:  # the client has gone away; after the server's end that is an error without a name
        raise Refusal(Reason.ABORTED) from None


def _event(request: Incoming | object, opened: bool) -> Event | None:
    """Return a request as an event, gRPC's EOF as None."""
    if isinstance(request, Refusal):
        raise request
    if not isinstance(request, pb.ComposeRequest):
        return None
    if opened and request.HasField("open"):
        return Open()  # it is refused as a second Open, so its fields are not checked
    return event_from(request)


def _parse(data: bytes) -> Incoming:
    try:
        return pb.ComposeRequest.FromString(data)
    except DecodeError:
        return Refusal(Reason.MALFORMED_MESSAGE)
