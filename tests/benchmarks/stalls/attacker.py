"""A client that attacks, and what became of its streams."""

import asyncio
import time
import zlib
from contextlib import suppress
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb

from tests.benchmarks.stalls.messages import Event, flush, opening

FLOOD_SECONDS = 5
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


class Attacker:
    """One client that opens streams and keeps them; `became` is what came of each, by its name."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, OPTIONS)
        self._compose: Any = self._channel.stream_stream(
            "/forefill.v1.KeystrokeService/Compose", response_deserializer=pb.ComposeResponse.FromString
        )
        self.became: set[str] = set()
        self.streams: list[Any] = []

    async def open(self, message: bytes) -> Any:
        """Open a stream; return it once it has an answer to that, None if it ended instead."""
        call = self._compose()
        try:
            await call.write(message)
            response = await call.read()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            response = grpc.aio.EOF
        if isinstance(response, pb.ComposeResponse):
            self.became.add(response.WhichOneof("response") or "")
            self.streams.append(call)
            return call
        plain = dict(await call.trailing_metadata() or ())
        self.became.add(str(plain.get("forefill-error-reason") or f"{(await call.code()).name}, no reason"))
        return None

    async def open_many(self, message: bytes, times: int = 1) -> None:
        await asyncio.gather(*(self.open(message) for _ in range(times)))

    async def open_and_cancel(self, message: bytes, times: int, seconds: float) -> None:
        for _ in range(times):
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self.open(message)

    async def flood(self, text: str, streams: int, every: float, *events: Event) -> None:
        """On each of some streams, type a text, then send these events again and again, FLUSH by default."""
        checksum = zlib.crc32(text.encode())

        async def one() -> None:
            if (call := await self.open(opening())) is None:
                return
            seq, until = 1, time.monotonic() + FLOOD_SECONDS
            reading = asyncio.create_task(self._read(call))
            try:
                await self._send(call, pb.KeystrokeEvent(seq=1, char_add=pb.CharAdd(text=text)))
                while time.monotonic() < until:
                    for make in events or (flush(len(text), checksum),):
                        seq += 1
                        event = make()
                        event.seq = seq
                        await self._send(call, event)
                    await asyncio.sleep(every)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                self.became.add("ended")
            reading.cancel()

        await asyncio.gather(*(one() for _ in range(streams)))

    async def _read(self, call: Any) -> None:
        while isinstance(response := await call.read(), pb.ComposeResponse):
            kind = response.WhichOneof("response")
            if kind == "flush_result":
                self.became.add(pb.FlushOutcome.Name(response.flush_result.outcome).removeprefix("FLUSH_OUTCOME_"))
            elif kind == "session_error":
                reason = pb.ErrorReason.Name(response.session_error.reason)
                self.became.add(reason.removeprefix("ERROR_REASON_"))

    async def _send(self, call: Any, event: pb.KeystrokeEvent) -> None:
        await call.write(pb.ComposeRequest(event=event).SerializeToString())

    async def close(self) -> None:
        await self._channel.close()
