"""Callers with keys: a server that asks for them, streams that bring them, and how others are refused."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_service.access.callers_file import hash_of

from .served import SETTINGS, Served, changed, ended_by, served
from .wire import Typist, error_reason

Metadata = Sequence[tuple[str, str]]
KEY: Metadata = [("authorization", "Bearer key")]
OTHER: Metadata = [("authorization", "Bearer other")]


def callers_file(tmp_path: Path, *entries: str) -> Path:
    """Write a callers file, or replace it."""
    path = tmp_path / "callers.toml"
    path.write_text("".join(f"[[caller]]\n{entry}\n" for entry in entries), encoding="utf-8")
    return path


def with_key(key: str, name: str = "web", rest: str = "") -> str:
    """The entry of a caller with a key."""
    return f'name = "{name}"\nkey_sha256 = "{hash_of(key)}"\n{rest}'


@asynccontextmanager
async def served_to(tmp_path: Path, *entries: str, **settings: Any) -> AsyncIterator[tuple[Served, grpc.aio.Channel]]:
    """A server that lets these callers in, and a channel to it."""
    callers = callers_file(tmp_path, *entries)
    async with (
        served(settings=changed(SETTINGS, callers=callers, **settings)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield server, channel


@asynccontextmanager
async def typing_with(channel: grpc.aio.Channel, metadata: Metadata = ()) -> AsyncIterator[Typist]:
    """A stream that has been opened, with these credentials."""
    typist = Typist(KeystrokeServiceStub(channel).Compose(metadata=grpc.aio.Metadata(*metadata)))
    await typist.call.write(pb.ComposeRequest(open=pb.Open()))
    assert (await typist.read()).HasField("opened")
    yield typist


async def refusal(
    channel: grpc.aio.Channel, metadata: Metadata = (), *, opens: bool = False
) -> tuple[grpc.StatusCode, str]:
    """How a stream is refused, before or after it sends Open."""
    typist = Typist(KeystrokeServiceStub(channel).Compose(metadata=grpc.aio.Metadata(*metadata)))
    if opens:
        await typist.call.write(pb.ComposeRequest(open=pb.Open()))
    error = await ended_by(typist)
    return error.code(), error_reason(error)
