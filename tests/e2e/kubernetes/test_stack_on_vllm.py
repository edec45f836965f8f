"""The whole stack of the chart on two real vLLM servers on the CPU, with the packaged model and the real router."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from forefill_client import AsyncClient, Sampling
from forefill_service.engine.http.vllm_metrics import parse_metrics
from forefill_service.engine.packaged_model import packaged_model_path

from tests.e2e.kubernetes.conftest import Render
from tests.support.kubelet import RELEASE, Cluster
from tests.support.replicas import TOUCHED_TOKENS, new_context
from tests.support.turns import while_users_ask
from tests.support.vllm_server import router_program

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.replicas,
    pytest.mark.timeout(1200),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(router_program() is None, reason="vllm-router is not installed (x86-64 alone)"),
]

NAME = f"{RELEASE}-forefill"
STACK: dict[str, Any] = {
    "access": {"insecure": True},
    "networkPolicy": {"modelHubEgress": False},
    "vllm": {
        "model": "/models/packaged",
        "device": "cpu",
        "cacheGib": 1,
        "resources": {"requests": {"cpu": "1"}},
    },
    "router": {"replicas": 1},
    "modelCache": {"existingClaim": "models"},
}
QUESTION = "Show the names of all makers that sold more than three models"
SESSIONS = 12


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(chart: Render) -> AsyncIterator[Cluster]:
    async with Cluster() as cluster:
        put_model(cluster.claim("models") / "packaged")
        await cluster.roll_out(chart(variants=["stack"], **STACK).without_hooks())
        await cluster.until(lambda: bool(cluster.service(NAME).endpoints))
        yield cluster


def put_model(folder: Path) -> None:
    """Fill the model volume, for any user to read."""
    shutil.copytree(packaged_model_path(), folder)
    for path in folder.iterdir():
        path.chmod(0o644)


async def worked(cluster: Cluster) -> dict[str, float]:
    """How many tokens each vLLM server has worked on so far."""
    tokens = {}
    async with aiohttp.ClientSession() as http:
        for pod in cluster.selected(component="vllm"):
            async with http.get(f"http://{pod.address}:8000/metrics") as page:
                tokens[pod.name] = parse_metrics(await page.text()).tokens
    return tokens


async def test_helms_test_holds_a_conversation_with_the_model(cluster: Cluster, chart: Render) -> None:
    [pod] = chart(variants=["stack"], **STACK).hooks("Pod")
    status, said = await cluster.run(pod)
    assert status == 0, said


async def test_what_a_session_warms_is_found_by_its_submit_and_all_servers_are_used(cluster: Cluster) -> None:
    used = set()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncClient.connect(cluster.address(NAME, "grpc")))
        for _ in range(SESSIONS):
            before = await worked(cluster)
            greedy = Sampling(temperature=0, max_tokens=8)
            async with client.session(new_context(), sampling=greedy) as session:
                for key in QUESTION:
                    await session.type(key)
                flushed = await session.flushed(await session.flush())
                answer = await session.submit()
                assert await answer.text()
                assert answer.report is not None
                assert answer.report.cached_tokens >= flushed.cached_tokens > 200
            after = await worked(cluster)
            [server] = [name for name in before if after[name] - before[name] > TOUCHED_TOKENS]
            used.add(server)
    assert used == {pod.name for pod in cluster.selected(component="vllm")}
    assert not cluster.api.refused


async def test_nothing_is_lost_while_all_copies_of_forefill_are_replaced(cluster: Cluster, chart: Render) -> None:
    newer = STACK | {"settings": {"max_sessions": 999}}
    old = cluster.selected(component="forefill")
    async with AsyncExitStack() as stack:
        address = cluster.address(NAME, "grpc")
        clients = [await stack.enter_async_context(AsyncClient.connect(address)) for _ in range(2)]

        async def update() -> None:
            await cluster.roll_out(chart(variants=["stack"], **newer).without_hooks())

        users = await while_users_ask(clients, update, sampling=Sampling(temperature=0, max_tokens=8))
    assert not {pod.name for pod in old} & {pod.name for pod in cluster.selected(component="forefill")}
    assert [container.status for pod in old for container in pod.containers] == [0, 0]
    for user in users:
        assert user.streams > 1
        assert (user.breaks, user.resumed) == (0, 0), "a drain lets answers finish where they run"
        assert user.kept == user.conversation
        assert all(user.told)
