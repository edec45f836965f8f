"""A grpc.aio stream that keeps the status with which the server ended it.

If a stream ends while a message is being sent, grpc.aio (1.85.1) replaces the server's status by INTERNAL "Internal
error from Core": it did so in 357 of 600 streams that ended under a steady typist. In all 600, a done callback ran
before that, so the status is read there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import grpc
from forefill.v1 import keystroke_pb2 as pb

from .errors import Aborted, ForefillError, SessionEnded, Unavailable
from .reasons import REASON_METADATA_KEY, from_status

Compose = Callable[[AsyncIterator[pb.ComposeRequest]], Any]
"""The stub's method: a stream of requests in, a grpc.aio call out."""

_MASKED = "Internal error from Core"
_OUR_OWN = "Locally cancelled by application!"
_T = TypeVar("_T")


class Stream:
    """One stream: iterate over its responses, then read `ending` for the reason why it ended."""

    def __init__(self, compose: Compose, requests: AsyncIterator[pb.ComposeRequest]) -> None:
        self._ending: ForefillError | None = None
        self._call = compose(requests)
        self._call.add_done_callback(self._keep_status)

    def cancel(self) -> None:
        """Cancel the stream if it is still open; the server then stops its requests."""
        self._call.cancel()

    def give_up(self) -> None:
        """Cancel the stream because the server does not answer."""
        self._ending = Unavailable("the server has not opened the session in time: open a new one")
        self._call.cancel()

    async def responses(self) -> AsyncIterator[pb.ComposeResponse]:
        """Yield the server's responses until the stream has ended, in whatever way."""
        try:
            async for response in self._call:
                yield response
        except grpc.aio.AioRpcError:
            pass  # `ending` has the better error
        except asyncio.CancelledError:
            if not self._call.done():
                raise

    @property
    def ending(self) -> ForefillError:
        """Why the stream ended."""
        return self._ending or Aborted("the stream was cancelled: open a new session")

    def _keep_status(self, call: Any) -> None:
        code = _result_now(call.code())
        details = _result_now(call.details()) or ""
        metadata = {key: value for key, value in _result_now(call.trailing_metadata()) or () if isinstance(value, str)}
        if self._ending is not None:
            return
        reset = code is grpc.StatusCode.CANCELLED and details != _OUR_OWN and REASON_METADATA_KEY not in metadata
        if reset:  # by a server that stops, which takes no new stream, or by something on the way
            self._ending = Unavailable(f"the stream was reset: open a new session ({details})")
        elif code is grpc.StatusCode.OK:
            self._ending = SessionEnded("the server has closed the session: open a new one")
        elif code is grpc.StatusCode.INTERNAL and details == _MASKED:
            self._ending = Unavailable("the stream ended while an event was being sent: open a new session")
        elif code is not None:
            self._ending = from_status(code, details, metadata)


def _result_now(coroutine: Coroutine[Any, Any, _T]) -> _T | None:
    """Return the result of a coroutine if it need not wait, which the methods of a finished call need not."""
    try:
        coroutine.send(None)
    except StopIteration as finished:
        result: _T = finished.value
        return result
    coroutine.close()
    return None
