"""A real gRPC server on a free port whose Compose plays what a test tells it to play."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1 import keystroke_pb2_grpc as rpc
from forefill_client import AsyncClient, Resume

OPENED = pb.Opened(
    session_id="s1",
    model="scripted",
    block_size=16,
    base_prompt_tokens=40,
    limits=pb.Limits(max_draft_code_points=1000, context_tokens=2048, max_message_bytes=1 << 20),
    resume_token="1.place",
)
LEDGER = pb.Ledger(warms=2, computed_tokens=48, used_tokens=40, edited_away_tokens=8)


class Wire:
    """The server's end of one stream."""

    def __init__(self, requests: AsyncIterator[pb.ComposeRequest], context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._requests = requests
        self._context = context
        self.opening = pb.Open()
        self.metadata = tuple(context.invocation_metadata() or ())

    async def open(self, opened: pb.Opened = OPENED) -> None:
        """Take in Open and answer it."""
        self.opening = (await anext(self._requests)).open
        await self.send(opened=opened)

    async def event(self) -> pb.KeystrokeEvent:
        """Return the client's next event."""
        return (await anext(self._requests)).event

    async def events(self, count: int) -> list[str]:
        """Return what kinds of events come next."""
        return [(await self.event()).WhichOneof("kind") or "" for _ in range(count)]

    async def until(self, kind: str) -> pb.KeystrokeEvent:
        """Return the next event of one kind."""
        while (event := await self.event()).WhichOneof("kind") != kind:
            pass
        return event

    async def send(self, **response: Any) -> None:
        await self._context.write(pb.ComposeResponse(**response))

    async def refuse(self, seq: int, reason: "pb.ErrorReason.ValueType", **fields: Any) -> None:
        await self.send(session_error=pb.SessionError(reason=reason, seq=seq, message="what to do next", **fields))

    async def warmed(self, flush: pb.KeystrokeEvent, cached_tokens: int = 48) -> None:
        await self.send(
            flush_result=pb.FlushResult(
                seq=flush.seq,
                confirmed_code_points=flush.flush.confirmed_code_points,
                stable_tokens=50,
                cached_tokens=cached_tokens,
                computed_tokens=16,
                outcome=pb.FLUSH_OUTCOME_WARMED,
            )
        )

    async def answer(self, seq: int, *deltas: str, ledger: pb.Ledger = LEDGER) -> None:
        """Send a whole answer."""
        await self.send(
            generation_started=pb.GenerationStarted(
                seq=seq, ttft_ms=20, prompt_tokens=60, cached_tokens=48, source=pb.GENERATION_SOURCE_WARM
            )
        )
        for delta in deltas:
            await self.send(generation_delta=pb.GenerationDelta(seq=seq, text=delta))
        await self.send(
            generation_finished=pb.GenerationFinished(
                seq=seq,
                reason=pb.FINISH_REASON_STOP,
                usage=pb.Usage(prompt_tokens=60, cached_tokens=48, completion_tokens=len(deltas)),
                timings=pb.Timings(render_ms=1, ttft_ms=20, total_ms=30),
                ledger=ledger,
            )
        )

    async def fail(self, code: grpc.StatusCode, details: str, **metadata: str) -> None:
        """End the stream with a status."""
        trailing = tuple((f"forefill-{key.replace('_', '-')}", value) for key, value in metadata.items())
        await self._context.abort(code, details, trailing)


Script = Callable[[Wire], Awaitable[None]]


class ScriptedService(rpc.KeystrokeServiceServicer):
    """Plays one script on every stream."""

    def __init__(self, script: Script) -> None:
        self._script = script

    async def Compose(self, request_iterator: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802
        # grpc makes a generator of it at `aiter`, and a script that reads nothing would leave that one never awaited.
        await self._script(Wire(request_iterator, context))


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[str]:
    """Serve a script on loopback; yields the address."""
    server = grpc.aio.server()
    rpc.add_KeystrokeServiceServicer_to_server(ScriptedService(script), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(grace=None)


@asynccontextmanager
async def connected(script: Script, resume: Resume | None = None) -> AsyncIterator[AsyncClient]:
    """Serve a script and connect to it; sessions end with their stream unless told otherwise."""
    async with serving(script) as address, AsyncClient.connect(address, resume=resume) as client:
        yield client
