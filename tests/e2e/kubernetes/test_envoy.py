"""Envoy between clients and the chart's pods, with the settings of the chart's route."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill.v1.keystroke_pb2_grpc import KeystrokeServiceStub
from forefill_client import AsyncClient, Sampling, Session, SessionState

from tests.e2e.kubernetes.conftest import Render
from tests.support.envoy import WITHOUT, Policy, envoy, policy_of
from tests.support.kubelet import Cluster, Objects, missing_tool
from tests.support.wire import Typist

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing_tool("envoy")), reason=missing_tool("envoy")),
]

ENVOYS_LIMIT_SECONDS = 15
ANSWER_TOKENS = ENVOYS_LIMIT_SECONDS + 3
"""One a second."""
SHORT = Sampling(max_tokens=1)
ROUTED: dict[str, Any] = {
    "engine": {"kind": "fake"},
    "access": {"insecure": True},
    "replicaCount": 2,
    "settings": {"fake_answer_tokens": ANSWER_TOKENS, "fake_decode_speed": 1},
    "gatewayRoute": {
        "enabled": True,
        "parentRefs": [{"name": "public"}],
        "envoyGateway": {"enabled": True, "hashHeader": "x-session"},
    },
}
SESSIONS = 16
KEYS = [f"session-{number}" for number in range(SESSIONS)]


@pytest.fixture(scope="module")
def objects(chart: Render) -> Objects:
    return chart(**ROUTED).without_hooks()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def servers(objects: Objects) -> AsyncIterator[list[str]]:
    async with Cluster() as cluster:
        await cluster.roll_out(objects)
        yield [f"{pod.address}:{pod.port('grpc')}" for pod in cluster.selected(component="forefill")]


class User:
    """A session in which somebody types, and how often its stream broke."""

    def __init__(self, client: AsyncClient, key: str) -> None:
        self.breaks = 0
        self.session: Session = client.session(metadata=[("x-session", key)], on_state=self._note, sampling=SHORT)

    def _note(self, state: SessionState, _: Exception | None) -> None:
        self.breaks += state is SessionState.RECONNECTING

    async def asks_after(self, seconds: float, *, pause: float = 0.5) -> str:
        """Type a key after each pause, for so long; then submit, and return the answer."""
        async with self.session as session:
            for _ in range(int(seconds / pause)):
                await session.type("a")
                await asyncio.sleep(pause)
            return await (await session.submit()).text()


async def last_answer(address: str) -> str:
    """Submit a question, say that it is the last one, and return the answer, or how the stream ends before."""
    async with grpc.aio.insecure_channel(address) as channel:
        typist = Typist(KeystrokeServiceStub(channel).Compose())
        await typist.call.write(pb.ComposeRequest(open=pb.Open()))
        await typist.send_submit("Who works tonight?")
        await typist.event(end=pb.End())
        await typist.call.done_writing()
        try:
            return (await typist.answer()).text
        except (grpc.aio.AioRpcError, AssertionError):
            return str(await typist.call.code())


async def test_answers_take_longer_than_envoys_limit_with_the_routes_policy_and_not_without(
    objects: Objects, servers: list[str], tmp_path: Path
) -> None:
    """The limit counts from the end of what the client sends, so it is no limit for those who go on typing."""
    async with envoy(tmp_path, objects, servers, policy_of(objects), WITHOUT) as running:
        with_policy, without = await asyncio.gather(*map(last_answer, running.addresses))
    assert len(with_policy.split()) == ANSWER_TOKENS
    assert without in ("StatusCode.INTERNAL", "StatusCode.UNAVAILABLE")


async def test_users_may_be_silent_for_longer_than_envoys_limit_with_the_routes_policy_and_not_without(
    objects: Objects, servers: list[str], tmp_path: Path
) -> None:
    """Envoy's own limit is five minutes; here it is two seconds."""
    async with (
        envoy(tmp_path, objects, servers, policy_of(objects), WITHOUT, idle="2s") as running,
        AsyncExitStack() as stack,
    ):
        clients = [await stack.enter_async_context(AsyncClient.connect(each)) for each in running.addresses]
        with_policy, without = (User(client, key) for client, key in zip(clients, KEYS, strict=False))
        answers = await asyncio.gather(*(user.asks_after(5, pause=5) for user in (with_policy, without)))
    assert with_policy.breaks == 0
    assert without.breaks > 0
    assert all(answers), "a broken stream costs nothing but time"


async def test_a_stream_in_which_a_user_types_outlives_envoys_limit(
    objects: Objects, servers: list[str], tmp_path: Path
) -> None:
    async with (
        envoy(tmp_path, objects, servers, policy_of(objects)) as running,
        AsyncClient.connect(running.addresses[0]) as client,
    ):
        user = User(client, KEYS[0])
        assert await user.asks_after(ENVOYS_LIMIT_SECONDS + 3)
    assert user.breaks == 0


async def hosts_of_resumed_streams(
    objects: Objects, servers: list[str], folder: Path, policy: Policy
) -> list[set[str]]:
    """Have Envoy break each session's stream after two seconds; return the servers of each session."""
    limits = {**policy, "timeout": {"http": {"maxStreamDuration": "2s"}}}
    async with envoy(folder, objects, servers, limits) as running, AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncClient.connect(running.addresses[0]))
        users = [User(client, key) for key in KEYS]
        await asyncio.gather(*(user.asks_after(5) for user in users))
        assert all(user.breaks for user in users)
        await asyncio.sleep(0.5)  # Envoy writes its log
        streams = running.streams()
    return [{stream.server for stream in streams if stream.key == key} for key in KEYS]


async def test_a_resumed_stream_reaches_its_server_by_the_hash_of_its_header(
    objects: Objects, servers: list[str], tmp_path: Path
) -> None:
    hosts = await hosts_of_resumed_streams(objects, servers, tmp_path, policy_of(objects))
    assert {len(each) for each in hosts} == {1}
    assert set.union(*hosts) == set(servers), "not all on one server"


async def test_without_the_hash_it_may_reach_another(objects: Objects, servers: list[str], tmp_path: Path) -> None:
    hosts = await hosts_of_resumed_streams(objects, servers, tmp_path, WITHOUT)
    assert {len(each) for each in hosts} != {1}
