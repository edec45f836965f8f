"""A typist on the bare wire, who does what any gRPC client in any language can do, without the SDK."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1 import keystroke_pb2_grpc as rpc
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

Messages = Sequence[tuple[str, str]]
"""Roles and contents."""

GREEDY = pb.Sampling(temperature=0, max_tokens=1)
LONG_SYSTEM = pb.ChatMessage(role="system", content="You write SQL for a clinic. " * 20)
SECONDS_TO_GIVE_UP = 120
"""No read takes long; one that hangs fails."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete answer; `deltas` is in how many parts it came."""

    text: str
    deltas: int
    started: pb.GenerationStarted
    finished: pb.GenerationFinished
    reasoning: str = ""
    logprobs: tuple[pb.TokenLogprobs, ...] = ()

    @property
    def cached_tokens(self) -> int:
        return self.finished.usage.cached_tokens


class SubmitRefused(AssertionError):
    """Raised when SUBMIT is answered by a SessionError."""

    def __init__(self, error: pb.SessionError) -> None:
        super().__init__(error.message)
        self.reason = error.reason


class Typist:
    """One open stream and the draft as the user sees it."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.draft = ""
        self.submitted = ""
        self.opened = pb.Opened()
        self._seq = 0

    async def read(self) -> pb.ComposeResponse:
        """Return the next response; raise grpc.aio.AioRpcError if the stream ended with an error."""
        response = await self.call.read()
        assert isinstance(response, pb.ComposeResponse), await self.call.code()
        return response

    async def event(self, **kind: Any) -> int:
        """Send one event; return its number."""
        self._seq += 1
        await self.call.write(pb.ComposeRequest(event=pb.KeystrokeEvent(seq=self._seq, **kind)))
        return self._seq

    async def type(self, text: str) -> None:
        self.draft += text
        await self.event(char_add=pb.CharAdd(text=text))

    async def delete(self, count: int) -> None:
        self.draft = self.draft[:-count]
        await self.event(char_delete=pb.CharDelete(count=count))

    async def replace(self, start: int, end: int, text: str) -> None:
        self.draft = self.draft[:start] + text + self.draft[end:]
        await self.event(replace=pb.Replace(start=start, end=end, text=text))

    async def send_flush(self, confirmed: int | None = None) -> int:
        """Send FLUSH without waiting for its answer."""
        flush = pb.Flush(
            draft_code_points=len(self.draft),
            draft_crc32=zlib.crc32(self.draft.encode()),
            confirmed_code_points=confirmed,
        )
        return await self.event(flush=flush)

    async def flush(self, confirmed: int | None = None) -> pb.FlushResult:
        """Confirm the draft up to its last word boundary, or as many code points as given, and wait for the result."""
        seq = await self.send_flush(confirmed)
        while True:
            response = await self.read()
            assert response.WhichOneof("response") == "flush_result", response
            if response.flush_result.seq == seq:
                return response.flush_result

    async def send_submit(self, text: str | None = None) -> int:
        """Send SUBMIT without waiting for the answer."""
        self.submitted = self.draft if text is None else text
        self.draft = ""
        return await self.event(submit=pb.Submit(text=text))

    async def submit(self, text: str | None = None) -> Answer:
        """Press Enter and return the answer; raises SubmitRefused."""
        await self.send_submit(text)
        return await self.answer()

    async def answer(self) -> Answer:
        """Wait for the answer to a SUBMIT that was sent, passing over results of FLUSHes."""
        started, texts = pb.GenerationStarted(), list[str]()
        thoughts, logprobs = list[str](), list[pb.TokenLogprobs]()
        while True:
            response = await self.read()
            match response.WhichOneof("response"):
                case "generation_started":
                    started = response.generation_started
                case "generation_delta":
                    texts.append(response.generation_delta.text)
                    thoughts.append(response.generation_delta.reasoning)
                    logprobs.extend(response.generation_delta.logprobs)
                case "generation_finished":
                    said, thought, finished = "".join(texts), "".join(thoughts), response.generation_finished
                    return Answer(said, len(texts), started, finished, thought, tuple(logprobs))
                case "session_error":
                    self.gets_back()
                    raise SubmitRefused(response.session_error)

    def gets_back(self) -> None:
        """Have the text of a SUBMIT that failed in the draft again, as the server has, unless another one was begun."""
        self.draft = self.draft or self.submitted

    async def end(self) -> None:
        """Close the session in good order; a FLUSH before SUBMIT may be answered until then."""
        await self.event(end=pb.End())
        while isinstance(response := await self.call.read(), pb.ComposeResponse):
            assert response.HasField("flush_result"), response
        assert await self.call.code() is grpc.StatusCode.OK


class Wire(Typist):
    """One raw stream on a channel of its own that may send anything, also before Open; reads have a time limit."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.aio.insecure_channel(address)
        super().__init__(rpc.KeystrokeServiceStub(self.channel).Compose())

    async def write(self, request: pb.ComposeRequest) -> None:
        await self.call.write(request)

    async def open(self, **fields: Any) -> pb.Opened:
        await self.write(pb.ComposeRequest(open=pb.Open(messages=[LONG_SYSTEM], **fields)))
        return (await self.read()).opened

    async def read(self) -> pb.ComposeResponse:
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            return await super().read()

    async def numbered(self, seq: int, **kind: Any) -> None:
        """Send an event under a number of the test's choice."""
        self._seq = max(self._seq, seq)
        await self.write(pb.ComposeRequest(event=pb.KeystrokeEvent(seq=seq, **kind)))

    async def error(self) -> pb.SessionError:
        response = await self.read()
        assert response.WhichOneof("response") == "session_error", response
        return response.session_error

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """Return the code and the ErrorInfo's reason that ended the stream; "" if it has none."""
        async with asyncio.timeout(SECONDS_TO_GIVE_UP):
            code = await self.call.code()
        status = await rpc_status.aio.from_call(self.call)
        if status is None:
            return code, ""
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.domain == "forefill"
        plain = dict(await self.call.trailing_metadata())
        assert plain["forefill-error-reason"] == info.reason
        return code, info.reason

    async def still_works(self) -> None:
        """Take a whole turn."""
        assert (await self.submit("Is it so?")).finished.usage.completion_tokens > 0


@asynccontextmanager
async def typing_at(
    address: str,
    messages: Messages = (),
    *,
    sampling: pb.Sampling = GREEDY,
    chat_template_kwargs: dict[str, Any] | None = None,
    pregeneration_mode: pb.PregenerationMode.ValueType = pb.PREGENERATION_MODE_OFF,
    **opening: Any,
) -> AsyncIterator[Typist]:
    """Open one session at a server; what still runs is aborted when the block ends.

    A slow machine makes pauses of its own, so answers are begun in them only where a test asks for it.
    """
    request = pb.Open(
        messages=[pb.ChatMessage(role=role, content=content) for role, content in messages],
        sampling=sampling,
        pregeneration_mode=pregeneration_mode,
        **opening,
    )
    json_format.ParseDict(chat_template_kwargs or {}, request.chat_template_kwargs)
    async with typing_after(address, request) as typist:
        yield typist


@asynccontextmanager
async def typing_after(address: str, request: pb.Open) -> AsyncIterator[Typist]:
    """Open one session with this Open; what still runs is aborted when the block ends."""
    async with grpc.aio.insecure_channel(address) as channel:
        call = rpc.KeystrokeServiceStub(channel).Compose()
        try:
            await call.write(pb.ComposeRequest(open=request))
            typist = Typist(call)
            typist.opened = (await typist.read()).opened
            typist.draft = request.draft
            yield typist
        finally:
            call.cancel()


def error_reason(error: grpc.aio.AioRpcError) -> str:
    """Return the reason that ended a stream, out of its google.rpc.ErrorInfo."""
    status = rpc_status.from_call(cast("grpc.Call", error))
    assert status is not None, error
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details), status
    assert info.domain == "forefill"
    return str(info.reason)


def retry_seconds(error: grpc.aio.AioRpcError) -> int:
    """Return after how many seconds to try again, out of the google.rpc.RetryInfo."""
    status = rpc_status.from_call(cast("grpc.Call", error))
    assert status is not None, error
    info = error_details_pb2.RetryInfo()
    assert any(detail.Unpack(info) for detail in status.details), status
    return int(info.retry_delay.seconds)
