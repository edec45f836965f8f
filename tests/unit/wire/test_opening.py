"""The opening of a stream: each bad one has a typed end, and no other session notices."""

from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.server import RunningServer

from tests.support.wire import Wire


async def test_an_event_before_open_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    await wire.type("a")
    assert await wire.status() == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_OPEN")


async def test_an_empty_message_before_open_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    await wire.write(pb.ComposeRequest())
    assert await wire.status() == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_OPEN")


async def test_bytes_that_are_no_message_end_the_stream(server: RunningServer, bystander: Wire) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        compose: Any = channel.stream_stream(
            "/forefill.v1.KeystrokeService/Compose", None, pb.ComposeResponse.FromString
        )
        wire = Wire(server.address)
        wire.call = compose()
        not_utf8 = pb.ComposeRequest(open=pb.Open(draft="??")).SerializeToString().replace(b"??", b"\xff\xfe")
        await wire.call.write(not_utf8)
        assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")
        await wire.channel.close()


async def test_a_second_open_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open()
    await wire.write(pb.ComposeRequest(open=pb.Open(session_key="not valid!")))
    assert (await wire.error()).reason == pb.ERROR_REASON_ALREADY_OPEN
    await wire.still_works()


async def test_a_draft_over_the_limit_at_open_ends_the_stream(wire: Wire) -> None:
    await wire.write(pb.ComposeRequest(open=pb.Open(draft="x" * 201)))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "DRAFT_TOO_LONG")


async def test_invalid_sampling_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    await wire.write(pb.ComposeRequest(open=pb.Open(sampling=pb.Sampling(temperature=9))))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SAMPLING")


async def test_a_base_prompt_longer_than_the_context_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    long = pb.ChatMessage(role="system", content="word " * 500)
    await wire.write(pb.ComposeRequest(open=pb.Open(messages=[long])))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "PROMPT_TOO_LONG")


async def test_more_sessions_than_the_server_takes_are_refused(server: RunningServer, max_sessions: int) -> None:
    wires = []
    for _ in range(max_sessions):
        wires.append(Wire(server.address))
        await wires[-1].open()
    refused = Wire(server.address)
    assert await refused.status() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_SESSIONS")
    await wires[0].still_works()
    for wire in (*wires, refused):
        await wire.channel.close()
