"""The chart with the fake engine: a conversation, and a rolling update under the hands of those who type."""

from contextlib import AsyncExitStack
from typing import Any

import pytest
from forefill_client import AsyncClient

from tests.e2e.kubernetes.conftest import Render
from tests.support.kubelet import RELEASE, Cluster
from tests.support.turns import while_users_ask

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

NAME = f"{RELEASE}-forefill"
TOKENS = 30
FAKE: dict[str, Any] = {
    "engine": {"kind": "fake"},
    "access": {"insecure": True},
    "replicaCount": 2,
    "settings": {"fake_answer_tokens": TOKENS, "fake_decode_speed": 10},
}
USERS = 4


async def test_helms_test_holds_a_conversation_through_the_service(chart: Render) -> None:
    objects = chart(**FAKE)
    async with Cluster() as cluster:
        await cluster.roll_out(objects.without_hooks())
        [pod] = objects.hooks("Pod")
        status, said = await cluster.run(pod)
        assert status == 0, said
        assert "tokens cached" in said


async def test_nothing_is_lost_in_a_rolling_update_while_users_type_and_answers_run(chart: Render) -> None:
    newer = FAKE | {"settings": FAKE["settings"] | {"max_sessions": 999}}
    async with Cluster() as cluster, AsyncExitStack() as stack:
        await cluster.roll_out(chart(**FAKE).without_hooks())
        await cluster.until(lambda: len(cluster.service(NAME).endpoints) == 2)
        old = list(cluster.pods)
        address = cluster.address(NAME, "grpc")
        clients = [await stack.enter_async_context(AsyncClient.connect(address)) for _ in range(USERS)]

        async def update() -> None:
            await cluster.roll_out(chart(**newer).without_hooks())

        users = await while_users_ask(clients, update)

        assert not {pod.name for pod in old} & {pod.name for pod in cluster.pods}
        assert [container.status for pod in old for container in pod.containers] == [0, 0]
        assert "killed" not in str([pod.history for pod in old])
        for user in users:
            assert user.streams > 1
            assert (user.breaks, user.resumed) == (0, 0), "a drain lets answers finish where they run"
            assert user.kept == user.conversation
            assert {len(answer.split()) for answer in user.told} == {TOKENS}
        assert users[0].told == await users[0].told_again(clients[0])
