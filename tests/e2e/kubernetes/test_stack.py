"""The whole stack of the chart: forefill, the real vllm-router, and vLLM servers without a model."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from forefill_client import AsyncClient

from tests.e2e.kubernetes.conftest import Render
from tests.support.fake_vllm_process import BLOCK_SIZE
from tests.support.kubelet import RELEASE, Cluster, Image, Pod
from tests.support.small_tokenizer import small_tokenizer
from tests.support.templates import CHATML
from tests.support.turns import GREEDY, while_users_ask
from tests.support.vllm_server import router_program

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(router_program() is None, reason="vllm-router is not installed (x86-64 alone)"),
]

NAME = f"{RELEASE}-forefill"
FAKE_VLLM = Image(instead={"python3": (sys.executable, "-m", "tests.support.fake_vllm_process")})
STACK: dict[str, Any] = {
    "access": {"insecure": True},
    "vllm": {"model": "/models/small"},
    "router": {"replicas": 1},
    "modelCache": {"existingClaim": "models"},
}
QUESTION = "Show me all the patients that were seen in the last week"
SESSIONS = 16


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(chart: Render) -> AsyncIterator[Cluster]:
    async with Cluster(images={"vllm": FAKE_VLLM}) as cluster:
        tokenizer = small_tokenizer()
        tokenizer.chat_template = CHATML
        tokenizer.save_pretrained(cluster.claim("models") / "small")
        await cluster.roll_out(chart(variants=["stack"], **STACK).without_hooks())
        await cluster.until(lambda: bool(cluster.service(NAME).endpoints))
        yield cluster


def generations(cluster: Cluster) -> dict[str, int]:
    """How often each vLLM server was asked for tokens."""
    return {pod.name: pod.log("vllm").count("POST /v1/completions") for pod in cluster.selected(component="vllm")}


async def test_the_router_finds_the_servers_with_the_rights_that_its_role_gives(cluster: Cluster) -> None:
    assert not cluster.api.refused
    assert {"list pods in llm", "watch pods in llm"} >= set(cluster.api.asked) > set()


async def test_helms_test_holds_a_conversation_through_all_of_it(cluster: Cluster, chart: Render) -> None:
    [pod] = chart(variants=["stack"], **STACK).hooks("Pod")
    status, said = await cluster.run(pod)
    assert status == 0, said


async def test_what_a_session_warms_is_found_by_its_submit_and_both_servers_are_used(cluster: Cluster) -> None:
    before = generations(cluster)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncClient.connect(cluster.address(NAME, "grpc")))
        for number in range(SESSIONS):
            context = [("system", f"Session {number}. " + "You write SQL for a clinic. " * 8)]
            session = await stack.enter_async_context(client.session(context, sampling=GREEDY))
            for key in QUESTION:
                await session.type(key)
            flushed = await session.flushed(await session.flush())
            answer = await session.submit()
            assert await answer.text()
            assert answer.report is not None
            assert answer.report.cached_tokens >= flushed.cached_tokens > 10 * BLOCK_SIZE
    after = generations(cluster)
    assert all(after[name] > before[name] for name in before)


async def test_nothing_is_lost_while_all_vllm_servers_are_replaced(cluster: Cluster, chart: Render) -> None:
    newer = {**STACK, "vllm": {**STACK["vllm"], "podAnnotations": {"version": "2"}}}
    old: list[Pod] = cluster.selected(component="vllm")
    async with AsyncExitStack() as stack:
        address = cluster.address(NAME, "grpc")
        clients = [await stack.enter_async_context(AsyncClient.connect(address)) for _ in range(3)]

        async def update() -> None:
            await cluster.roll_out(chart(variants=["stack"], **newer).without_hooks())

        users = await while_users_ask(clients, update)
    assert [container.status for pod in old for container in pod.containers] == [0, 0]
    assert not cluster.api.refused
    for user in users:
        assert user.kept == user.conversation
        assert all(user.told)
    assert all(generations(cluster).values())
