"""A witness between a client and forefill: SUBMIT reaches the server without text, so the server goes by its own draft.

The SDK's SUBMIT carries the draft, for safety. With it, the answer would not show whether the server's copy was right.
Only a text that the edits before it have not made, such as one that was sent while the browser was offline, is left.
The witness also keeps what each stream has done: the draft that its edits make, each SUBMIT, each refusal.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb

COMPOSE = "/forefill.v1.KeystrokeService/Compose"
OPTIONS = (("grpc.enable_retries", 0), ("grpc.max_receive_message_length", -1))


@dataclass(slots=True)
class Submit:
    """One SUBMIT: the text that it brought, the draft that the edits before it made, and what was answered so far."""

    text: str | None
    draft: str
    seq: int
    answer: str = ""


@dataclass(slots=True)
class Stream:
    """What one stream did."""

    draft: str = ""
    measures: bool = False
    """Whether it only measures what an answer would have waited without forefill, and nobody types on it."""
    edits: int = 0
    flushed: int = 0
    submits: list[Submit] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """Reasons of the server's SessionErrors."""

    def request(self, data: bytes) -> bytes:
        """Take note of a request, and return what the server gets."""
        request = pb.ComposeRequest.FromString(data)
        if request.HasField("open"):
            self.draft = request.open.draft
            self.measures = request.open.cache_scope == pb.CACHE_SCOPE_SESSION
            return data
        event = request.event
        match event.WhichOneof("kind"):
            case "char_add":
                self._edit(len(self.draft), len(self.draft), event.char_add.text)
            case "char_delete":
                self._edit(max(0, len(self.draft) - (event.char_delete.count or 1)), len(self.draft), "")
            case "replace":
                self._edit(event.replace.start, event.replace.end, event.replace.text)
            case "submit":
                text = event.submit.text if event.submit.HasField("text") else None
                self.submits.append(Submit(text, self.draft, event.seq))
                if text == self.draft:
                    event.submit.ClearField("text")
                self.draft = ""
        return request.SerializeToString()

    def response(self, data: bytes) -> None:
        """Take note of a response."""
        response = pb.ComposeResponse.FromString(data)
        match response.WhichOneof("response"):
            case "flush_result":
                self.flushed = response.flush_result.confirmed_code_points
            case "session_error":
                self.refusals.append(pb.ErrorReason.Name(response.session_error.reason))
            case "generation_delta":
                for submit in self.submits:
                    if submit.seq == response.generation_delta.seq:
                        submit.answer += response.generation_delta.text

    def _edit(self, start: int, end: int, text: str) -> None:
        self.edits += 1
        self.draft = self.draft[:start] + text + self.draft[end:]


class SubmitWitness(grpc.GenericRpcHandler):
    """Passes streams on to a server. `streams` are all of them so far."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.streams: list[Stream] = []
        self.address = ""
        self._compose: Any = channel.stream_stream(COMPOSE)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Handle Compose alone: the client asks for nothing else."""
        if handler_call_details.method != COMPOSE:
            return None
        return grpc.stream_stream_rpc_method_handler(self._passed_on)

    async def _passed_on(self, requests: AsyncIterator[bytes], context: Any) -> None:
        stream = Stream()
        self.streams.append(stream)
        call = self._compose(metadata=context.invocation_metadata())
        sending = asyncio.create_task(self._send(requests, stream, call))
        try:
            async for data in call:
                stream.response(data)
                await context.write(data)
            code, details = await call.code(), await call.details() or ""
        except grpc.aio.AioRpcError as error:
            context.set_trailing_metadata(error.trailing_metadata())
            code, details = error.code(), error.details() or ""
        finally:
            sending.cancel()
            call.cancel()
        if code is not grpc.StatusCode.OK:
            await context.abort(code, details)

    async def _send(self, requests: AsyncIterator[bytes], stream: Stream, call: Any) -> None:
        with suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):  # the server has ended the stream
            async for data in requests:
                await call.write(stream.request(data))
            await call.done_writing()


@asynccontextmanager
async def submit_witness(upstream: str) -> AsyncIterator[SubmitWitness]:
    """Stand between clients and the server at HOST:PORT."""
    async with grpc.aio.insecure_channel(upstream, OPTIONS) as channel:
        witness = SubmitWitness(channel)
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((witness,))
        witness.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield witness
        finally:
            await server.stop(0)
