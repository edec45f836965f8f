"""The opening of a stream: each bad one has a typed end, and no other session notices."""

from typing import Any

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.engine import FakeChat, FakeEngine
from forefill_service.errors import Reason, Refusal
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings
from forefill_service.wire import servicer

from tests.support.wire import Typist, Wire, error_reason


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


@pytest.mark.parametrize(
    ("sampling", "says"),
    [
        (pb.Sampling(regex="[0-9]"), "obeys no structure but choice"),
        (pb.Sampling(stop_token_ids=[7, 2**31]), "stop_token_ids has 2147483648"),
        (pb.Sampling(allowed_token_ids=[2**31]), "allowed_token_ids"),
        (pb.Sampling(logit_bias={2**31: 1.0}), "logit_bias"),
    ],
)
async def test_what_the_engine_cannot_do_ends_the_stream_by_name(
    wire: Wire, bystander: Wire, engine: FakeEngine, sampling: pb.Sampling, says: str
) -> None:
    await wire.write(pb.ComposeRequest(open=pb.Open(sampling=sampling, draft="Show me all ")))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_SAMPLING")
    assert says in await wire.call.details()


async def test_an_adapter_that_the_engine_does_not_have_ends_the_stream(
    wire: Wire, bystander: Wire, engine: FakeEngine
) -> None:
    engine.adapters = {"sql": "1", "poems": "1"}
    await wire.write(pb.ComposeRequest(open=pb.Open(adapter="prose")))
    assert await wire.status() == (grpc.StatusCode.NOT_FOUND, "ADAPTER_NOT_FOUND")
    assert "sql, poems" in await wire.call.details()


async def test_an_engine_that_cannot_be_asked_lets_the_session_open(wire: Wire, engine: FakeEngine) -> None:
    engine.faults.down = True
    assert (await wire.open(sampling=pb.Sampling(regex="[0-9]"))).model == "fake"
    engine.faults.down = False
    await wire.still_works()


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


@pytest.mark.parametrize(
    "messages",
    [[pb.ChatMessage(role="u")] * 20_000, [pb.ChatMessage(role="assistant", tool_calls=[pb.ToolCall()] * 20_000)]],
    ids=["messages", "calls"],
)
async def test_a_conversation_of_too_many_messages_is_refused(
    wire: Wire, bystander: Wire, messages: list[pb.ChatMessage]
) -> None:
    await wire.write(pb.ComposeRequest(open=pb.Open(messages=messages)))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_OPEN")
    await bystander.event(rewrite=pb.Rewrite(messages=messages))
    assert (await bystander.error()).reason == pb.ERROR_REASON_INVALID_REWRITE


async def test_streams_that_send_nothing_take_nobodys_place(
    server: RunningServer, max_sessions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "LEAST_UNOPENED", 0)
    silent = [Wire(server.address) for _ in range(3 * max_sessions)]
    for wire in silent:
        await wire.call.wait_for_connection()
    opened = Wire(server.address)
    await opened.open()
    await opened.still_works()
    ended = [wire for wire in silent if wire.call.done()]
    for wire in ended:
        assert await wire.status() == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_OPEN")
    assert 2 * max_sessions <= len(ended) <= 2 * max_sessions + 1
    late = next(wire for wire in silent if wire not in ended)
    await late.open()
    await late.still_works()
    for wire in (*silent, opened):
        await wire.channel.close()


@pytest.mark.parametrize(
    "named", [[], [("x-tenant", "")], [("x-tenant", "a"), ("x-tenant", "b")]], ids=["none", "an empty one", "two"]
)
async def test_where_a_proxy_names_the_tenant_nobody_else_does(
    engine: FakeEngine, named: list[tuple[str, str]]
) -> None:
    settings = Settings(port=0, metrics_port=-1, tenant_metadata_key="x-tenant", insecure=True)
    async with (
        running_server([engine], settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = KeystrokeServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await Typist(stub.Compose(metadata=grpc.aio.Metadata(*named))).read()
        assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert error_reason(raised.value) == "TENANT_UNKNOWN"
        typist = Typist(stub.Compose(metadata=grpc.aio.Metadata(("x-tenant", "a"))))
        await typist.call.write(pb.ComposeRequest(open=pb.Open()))
        assert (await typist.read()).HasField("opened")


async def test_a_refusal_is_no_longer_than_trailers_can_be(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> str:
        raise Refusal(Reason.TEMPLATE_REFUSED, "é" * 9000)

    monkeypatch.setattr(FakeChat, "render", refuses)
    await wire.write(pb.ComposeRequest(open=pb.Open(messages=[pb.ChatMessage(role="user", content="a")])))
    assert await wire.status() == (grpc.StatusCode.INVALID_ARGUMENT, "TEMPLATE_REFUSED")
    assert "éé" in await wire.call.details()
