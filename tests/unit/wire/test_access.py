"""Who gets in, over real connections: TLS, certificates of clients, keys; and those who may not stay."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_client import AsyncClient, NotAuthenticated, NotReachable, PermissionDenied, RateLimited, Resume
from forefill_service.access.callers_file import hash_of
from forefill_service.wire import open_sessions
from forefill_service.wire.servicer import SERVICE_NAME
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support.certificates import Certificates
from tests.support.served import SETTINGS, TEXT, Served, changed, ended_by, served, until
from tests.support.wire import Typist, error_reason

Metadata = Sequence[tuple[str, str]]
KEY: Metadata = [("authorization", "Bearer key")]


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates.new(tmp_path)


def callers_file(tmp_path: Path, *entries: str) -> Path:
    path = tmp_path / "callers.toml"
    path.write_text("".join(f"[[caller]]\n{entry}\n" for entry in entries), encoding="utf-8")
    return path


def with_key(key: str, name: str = "web", rest: str = "") -> str:
    return f'name = "{name}"\nkey_sha256 = "{hash_of(key)}"\n{rest}'


@asynccontextmanager
async def typing_with(channel: grpc.aio.Channel, metadata: Metadata = ()) -> AsyncIterator[Typist]:
    """A stream that has been opened, with these credentials."""
    typist = Typist(KeystrokeServiceStub(channel).Compose(metadata=grpc.aio.Metadata(*metadata)))
    await typist.call.write(pb.ComposeRequest(open=pb.Open()))
    assert (await typist.read()).HasField("opened")
    yield typist


async def refusal(channel: grpc.aio.Channel, metadata: Metadata = ()) -> tuple[grpc.StatusCode, str]:
    error = await ended_by(Typist(KeystrokeServiceStub(channel).Compose(metadata=grpc.aio.Metadata(*metadata))))
    return error.code(), error_reason(error)


# --- TLS


def tls(certificates: Certificates, **others: Any) -> Any:
    return changed(SETTINGS, tls_cert=certificates.cert, tls_key=certificates.key, **others)


async def test_a_server_with_a_certificate_speaks_tls_and_nothing_else(certificates: Certificates) -> None:
    async with served(settings=tls(certificates)) as server:
        root = certificates.authority.cert_pem.bytes()
        async with AsyncClient.connect(server.address, tls=root) as client, client.session() as session:
            await session.type(TEXT)
            assert await (await session.submit()).text()
        with pytest.raises(NotReachable):
            async with AsyncClient.connect(server.address, timeout_seconds=2) as plain, plain.session():
                pass


async def test_a_renewed_certificate_counts_at_once_and_streams_that_are_open_go_on(certificates: Certificates) -> None:
    other = trustme.CA()
    async with (
        served(settings=tls(certificates)) as server,
        grpc.aio.secure_channel(server.address, certificates.trusted()) as channel,
        typing_with(channel) as typist,
    ):
        certificates.renew(other)
        trusts_other = grpc.ssl_channel_credentials(other.cert_pem.bytes())
        async with grpc.aio.secure_channel(server.address, trusts_other) as later, typing_with(later) as second:
            await second.type(TEXT)
            assert (await second.submit()).text
        await typist.type(TEXT)
        assert (await typist.submit()).text


async def test_half_a_renewal_changes_nothing(certificates: Certificates) -> None:
    async with served(settings=tls(certificates)) as server:
        certificates.cert.write_bytes(trustme.CA().issue_cert("127.0.0.1").cert_chain_pems[0].bytes())
        async with (
            grpc.aio.secure_channel(server.address, certificates.trusted()) as channel,
            typing_with(channel) as typist,
        ):
            await typist.type(TEXT)


async def test_with_mtls_only_clients_with_a_certificate_of_the_authority_get_in(certificates: Certificates) -> None:
    ours = certificates.authority.issue_cert("web.internal", common_name="web")
    async with served(settings=tls(certificates, tls_client_ca=certificates.client_ca)) as server:
        async with (
            grpc.aio.secure_channel(server.address, certificates.trusted(ours)) as channel,
            typing_with(channel) as typist,
        ):
            await typist.type(TEXT)
        for client in (None, trustme.CA().issue_cert("web.internal")):
            async with grpc.aio.secure_channel(server.address, certificates.trusted(client)) as channel:
                code, _ = await refusal(channel)
                assert code is grpc.StatusCode.UNAVAILABLE, "the handshake fails"


async def test_the_name_in_a_certificate_says_who_it_is(certificates: Certificates, tmp_path: Path) -> None:
    callers = callers_file(tmp_path, 'name = "web"\ncertificate = "web.internal"')
    settings = tls(certificates, tls_client_ca=certificates.client_ca, callers=callers)
    async with served(settings=settings) as server:
        for name, reason in (("web.internal", ""), ("other.internal", "UNAUTHENTICATED")):
            leaf = certificates.authority.issue_cert(name)
            async with grpc.aio.secure_channel(server.address, certificates.trusted(leaf)) as channel:
                if reason:
                    assert (await refusal(channel))[1] == reason
                else:
                    async with typing_with(channel) as typist:
                        await typist.type(TEXT)


# --- keys


@asynccontextmanager
async def served_to(tmp_path: Path, *entries: str, **settings: Any) -> AsyncIterator[tuple[Served, grpc.aio.Channel]]:
    callers = callers_file(tmp_path, *entries)
    async with (
        served(settings=changed(SETTINGS, callers=callers, **settings)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield server, channel


async def test_without_a_key_nobody_gets_in_and_health_is_told_to_all(tmp_path: Path) -> None:
    async with served_to(tmp_path, with_key("key")) as (_, channel):
        expected = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        for metadata in ([], [("authorization", "Bearer other")], [("authorization", "Basic key")], [*KEY, *KEY]):
            assert await refusal(channel, metadata) == expected
        async with typing_with(channel, KEY) as typist:
            await typist.type(TEXT)
        stub: Any = health_pb2_grpc.HealthStub(channel)
        response = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE_NAME))
        assert response.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_sdk_brings_its_key_and_says_what_is_wrong_without(tmp_path: Path) -> None:
    async with served_to(tmp_path, with_key("key")) as (server, _):
        async with AsyncClient.connect(server.address, api_key="key") as client, client.session() as session:
            await session.type(TEXT)
            assert await (await session.submit()).text()
        async with AsyncClient.connect(server.address, api_key="other") as client:
            with pytest.raises(NotAuthenticated):
                async with client.session() as session:
                    await session.opened()


async def test_a_caller_without_the_permission_is_refused(tmp_path: Path) -> None:
    async with served_to(tmp_path, with_key("key", rest='permissions = ["reflection"]')) as (server, channel):
        assert await refusal(channel, KEY) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        async with AsyncClient.connect(server.address, api_key="key") as client:
            with pytest.raises(PermissionDenied):
                async with client.session() as session:
                    await session.opened()


async def reflected(channel: grpc.aio.Channel, metadata: Metadata = ()) -> list[str]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo(metadata=grpc.aio.Metadata(*metadata))
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    response = await call.read()
    if response is grpc.aio.EOF:
        return []
    call.cancel()
    return [service.name for service in response.list_services_response.service]


async def test_reflection_is_for_callers_with_the_permission(tmp_path: Path) -> None:
    entries = with_key("key", rest='permissions = ["compose"]'), with_key("other")
    async with served_to(tmp_path, *entries) as (_, channel):
        assert SERVICE_NAME in await reflected(channel, [("authorization", "Bearer other")])
        for metadata in ([], KEY):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await reflected(channel, metadata)
            assert error_reason(refused.value) == ("PERMISSION_DENIED" if metadata else "UNAUTHENTICATED")


async def test_reflection_may_be_off() -> None:
    async with (
        served(settings=changed(SETTINGS, reflection=False)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await reflected(channel)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


# --- those who may not stay


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have sessions looked at often."""
    monkeypatch.setattr(open_sessions, "LOOK_SECONDS", 0.01)


@pytest.mark.usefixtures("quick_looks")
async def test_the_session_of_a_key_that_is_withdrawn_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_sessions, "CHECK_SECONDS", 0.02)
    entries = with_key("key"), with_key("other", "other")
    async with served_to(tmp_path, *entries) as (_, channel):
        other: Metadata = [("authorization", "Bearer other")]
        async with typing_with(channel, KEY) as typist, typing_with(channel, other) as staying:
            await typist.type(TEXT)
            callers_file(tmp_path, with_key("other", "other"))
            error = await ended_by(typist)
            assert (error.code(), error_reason(error)) == (grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_EXPIRED")
            await staying.type(TEXT)
            assert (await staying.submit()).text


@pytest.mark.usefixtures("quick_looks")
async def test_the_session_of_a_key_that_expires_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with served_to(tmp_path, with_key("key", rest="expires = 2100-01-01T00:00:00Z")) as (server, channel):
        async with typing_with(channel, KEY) as typist:
            await typist.type(TEXT)
            monkeypatch.setattr(server.running.servicer.open_sessions, "now", lambda: 4102444801.0)
            assert error_reason(await ended_by(typist)) == "CREDENTIALS_EXPIRED"
        assert (await refusal(channel, KEY))[1] == "CREDENTIALS_EXPIRED", "and it opens no other"


@pytest.mark.usefixtures("quick_looks")
async def test_a_session_that_says_nothing_ends_and_goes_on_when_its_user_does() -> None:
    async with (
        served(settings=changed(SETTINGS, session_idle_seconds=0.2)) as server,
        AsyncClient.connect(server.address) as client,
        client.session(resume=Resume(first_delay_seconds=0.001)) as session,
    ):
        await session.type("Show me ")
        await until(lambda: server.running.servicer.streams == 0)
        await asyncio.sleep(0.05)
        assert not server.running.servicer.streams, "nobody uses it, so it is not opened again"
        await session.type("all of them")
        assert await (await session.submit()).text()
        assert session.messages[-2].content == "Show me all of them"


@pytest.mark.usefixtures("quick_looks")
async def test_a_session_that_is_too_old_is_told_to_go_and_then_ends() -> None:
    settings = changed(SETTINGS, session_age_seconds=0.1, go_away_seconds=0.1)
    async with (
        served(settings=settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        typing_with(channel) as typist,
    ):
        assert (await typist.read()).HasField("go_away")
        error = await ended_by(typist)
        assert (error.code(), error_reason(error)) == (grpc.StatusCode.UNAVAILABLE, "SESSION_TOO_OLD")


@pytest.mark.usefixtures("quick_looks")
async def test_the_user_of_a_session_that_is_too_old_notices_nothing() -> None:
    settings = changed(SETTINGS, session_age_seconds=0.1, go_away_seconds=0.2)
    resume = Resume(first_delay_seconds=0.001)
    async with (
        served(settings=settings) as server,
        AsyncClient.connect(server.address) as client,
        client.session(resume=resume) as session,
    ):
        for word in ("Show ", "me ", "all ", "of ", "them"):
            await session.type(word)
            await asyncio.sleep(0.1)
        assert await (await session.submit()).text()
        assert session.messages[-2].content == "Show me all of them"


@pytest.mark.usefixtures("quick_looks")
async def test_a_running_answer_is_not_idle() -> None:
    async with (
        served(settings=changed(SETTINGS, session_idle_seconds=0.1)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        typing_with(channel) as typist,
    ):
        server.gate.held = True
        await typist.send_submit(TEXT)
        await asyncio.sleep(0.4)
        server.gate.open()
        assert (await typist.answer()).text


# --- limits of a caller


async def test_one_caller_cannot_take_all_places(tmp_path: Path) -> None:
    entries = with_key("key"), with_key("other", "other")
    async with served_to(tmp_path, *entries, max_sessions=4) as (server, channel):
        for_a_while = AsyncExitStack()
        async with for_a_while:
            for _ in range(2):
                await for_a_while.enter_async_context(typing_with(channel, KEY))
            assert await refusal_of_open(channel, KEY) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
            async with typing_with(channel, [("authorization", "Bearer other")]) as typist:
                await typist.type(TEXT)
            async with AsyncClient.connect(server.address, api_key="key") as client:
                with pytest.raises(RateLimited) as refused:
                    async with client.session() as session:
                        await session.opened()
                assert refused.value.retry_after_seconds > 0


async def refusal_of_open(channel: grpc.aio.Channel, metadata: Metadata) -> tuple[grpc.StatusCode, str]:
    typist = Typist(KeystrokeServiceStub(channel).Compose(metadata=grpc.aio.Metadata(*metadata)))
    await typist.call.write(pb.ComposeRequest(open=pb.Open()))
    error = await ended_by(typist)
    return error.code(), error_reason(error)


async def test_events_that_come_too_fast_are_all_taken_only_later() -> None:
    settings = changed(SETTINGS, events_per_second=90)
    async with (
        served(settings=settings) as server,
        grpc.aio.insecure_channel(server.address) as channel,
        typing_with(channel) as typist,
    ):
        for _ in range(1000):
            await typist.type("a")
        assert (await typist.submit()).text


@pytest.mark.usefixtures("quick_looks")
async def test_the_sdk_goes_on_with_the_next_key_and_ends_without_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_sessions, "CHECK_SECONDS", 0.02)
    key = "old"
    async with (
        served_to(tmp_path, with_key("old")) as (server, _),
        AsyncClient.connect(server.address, api_key=lambda: key) as client,
        client.session() as session,
        AsyncClient.connect(server.address, api_key="old") as same,
        same.session() as ending,
    ):
        await session.type("Show me ")
        key = "new"
        callers_file(tmp_path, with_key("new"))
        await ending.wait_closed()
        with pytest.raises(NotAuthenticated):
            await ending.type("all")
        await session.type("all")
        assert await (await session.submit()).text()
        assert session.messages[-2].content == "Show me all"


async def test_more_answers_of_one_caller_wait_for_their_turn_and_may_be_cancelled(tmp_path: Path) -> None:
    entries = with_key("key"), with_key("other", "other")
    async with (
        served_to(tmp_path, *entries, answers_per_caller=1) as (server, channel),
        typing_with(channel, KEY) as first,
        typing_with(channel, KEY) as second,
        typing_with(channel, KEY) as third,
        typing_with(channel, [("authorization", "Bearer other")]) as other,
    ):
        server.gate.held = True
        await first.send_submit(TEXT)
        await until(lambda: server.gate.waiting)
        await second.send_submit(TEXT)
        await third.send_submit(TEXT)
        await asyncio.sleep(0.05)
        assert len(server.gate.waiting) == 1
        await other.send_submit(TEXT)
        await until(lambda: len(server.gate.waiting) == 2)
        await third.event(cancel=pb.Cancel())
        assert (await third.answer()).finished.reason == pb.FINISH_REASON_CANCELLED
        server.gate.open()
        for typist in (first, second, other):
            assert (await typist.answer()).text


async def test_a_caller_without_tokens_is_told_when_to_come_again_and_nothing_is_done_ahead(tmp_path: Path) -> None:
    entries = with_key("key"), with_key("other", "other")
    async with served_to(tmp_path, *entries, tokens_per_minute=20) as (_, channel):
        async with typing_with(channel, KEY) as typist:
            await typist.type(TEXT)
            assert (await typist.submit()).text, "what is used beyond the quota is paid for later"
            await typist.type(TEXT)
            flushed = await typist.flush()
            assert flushed.shed_reason == pb.SHED_REASON_QUOTA
            await typist.send_submit()
            error = (await typist.read()).session_error
            assert error.reason == pb.ERROR_REASON_RATE_LIMITED
            assert error.retry_after_ms > 0
            assert error.draft_code_points == len(TEXT)
        async with typing_with(channel, [("authorization", "Bearer other")]) as typist:
            await typist.type(TEXT)
            assert (await typist.submit()).text
