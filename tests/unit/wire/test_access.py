"""Who gets in by a key, and what callers may do."""

from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from forefill_client import AsyncClient, NotAuthenticated, PermissionDenied
from forefill_service.wire.servicer import SERVICE_NAME
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.support.callers import KEY, OTHER, Metadata, refusal, served_to, typing_with, with_key
from tests.support.served import SETTINGS, TEXT, changed, served
from tests.support.wire import error_reason


async def test_without_a_key_nobody_gets_in_and_health_is_told_to_all(tmp_path: Path) -> None:
    async with served_to(tmp_path, with_key("key")) as (_, channel):
        expected = (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
        for metadata in ([], OTHER, [("authorization", "Basic key")], [*KEY, *KEY]):
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
                async with client.session():
                    pass


async def test_a_caller_without_the_permission_is_refused(tmp_path: Path) -> None:
    async with served_to(tmp_path, with_key("key", rest='permissions = ["reflection"]')) as (server, channel):
        assert await refusal(channel, KEY) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
        async with AsyncClient.connect(server.address, api_key="key") as client:
            with pytest.raises(PermissionDenied):
                async with client.session():
                    pass


async def reflected(channel: grpc.aio.Channel, metadata: Metadata = ()) -> list[str]:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(cast("Any", channel))
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
        assert SERVICE_NAME in await reflected(channel, OTHER)
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
