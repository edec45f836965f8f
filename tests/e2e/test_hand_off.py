"""Hand-offs on real vLLM: openai-python finds every whole block that was warmed, on the embedded engine's own port."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from forefill_client import AsyncClient, CacheScope, ChatMessage, FlushResult, Sampling, Session
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.errors import EngineStartError
from forefill_service.server import ListenError, RunningServer, running_server
from forefill_service.settings import Settings
from openai import AsyncOpenAI, AuthenticationError

from tests.support.callers import callers_file, with_key
from tests.support.certificates import Certificates
from tests.support.openai_call import asks, cached
from tests.support.replicas import new_context

pytestmark = [pytest.mark.vllm, pytest.mark.asyncio(loop_scope="session")]

QUESTION = "Show the names of all makers that sold more than three models, and how many they sold"
SCHEMA = {"type": "object", "properties": {"sql": {"type": "string", "maxLength": 8}}, "required": ["sql"]}
FUNCTION = {"name": "run_sql", "description": "Run a statement.", "parameters": SCHEMA, "strict": True}
TOOL = {"type": "function", "function": FUNCTION}
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 24}
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a tool": {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "run_sql"}},
        "max_tokens": 80,
    },
    "a schema": {
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}
    },
    "sampled": {"temperature": 0.8, "seed": 3, "stop": ["nowhere"], "logprobs": True, "top_logprobs": 2},
}


def settings(**more: Any) -> Settings:
    return Settings(**{"port": 0, "metrics_port": -1, "openai_port": 0, "pregeneration": False, **more})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(embedded_engine: EmbeddedEngine) -> AsyncIterator[RunningServer]:
    async with running_server([embedded_engine], settings(tool_call_parser="hermes")) as server:
        yield server


async def warmed(session: Session, text: str = QUESTION) -> FlushResult:
    """Type, and wait until all of it is warm."""
    await session.type(text)
    return await session.flushed(await session.flush(len(session.draft)))


@pytest.mark.parametrize("scope", CacheScope)
@pytest.mark.parametrize("call", CALLS)
async def test_the_applications_call_finds_every_whole_block_that_was_warmed(
    server: RunningServer, call: str, scope: CacheScope
) -> None:
    async with (
        AsyncClient.connect(server.address) as client,
        client.session(new_context(), cache_scope=scope, tools=CALLS[call].get("tools", ())) as session,
    ):
        block_size, computed = session.opened.block_size, 0
        for _ in range(2):
            flushed = await warmed(session)
            handed = await session.hand_off()
            said, usage = await asks(handed, **GREEDY | CALLS[call])
            assert handed.base_url == f"http://{server.openai_address}/v1"
            assert usage.prompt_tokens == handed.prompt_tokens
            assert cached(usage) == handed.cached_tokens >= flushed.cached_tokens
            assert flushed.cached_tokens == flushed.stable_tokens // block_size * block_size > 200
            ledger = await handed.finished(said, usage=usage)
            assert ledger is not None
            assert ledger.used_tokens == ledger.computed_tokens
            computed += ledger.computed_tokens
            if call in ("a tool", "a schema"):
                assert '"sql"' in said
        assert [message.role for message in session.messages] == ["system", *["user", "assistant"] * 2]
        assert computed > 200


async def test_with_session_scope_only_its_own_salt_finds_anything(server: RunningServer) -> None:
    async with (
        AsyncClient.connect(server.address) as client,
        client.session(new_context(), cache_scope=CacheScope.SESSION) as session,
    ):
        await warmed(session)
        handed = await session.hand_off()
        _, usage = await asks(handed, **GREEDY, extra_body={})
        assert cached(usage) == 0 < handed.cached_tokens
        _, usage = await asks(handed, **GREEDY)
        assert cached(usage) == handed.cached_tokens


async def test_it_is_the_answer_that_submit_gives(server: RunningServer) -> None:
    context = new_context()
    async with (
        AsyncClient.connect(server.address) as client,
        client.session(context, sampling=Sampling(temperature=0, max_tokens=24)) as session,
    ):
        await warmed(session)
        handed = await session.hand_off()
        said, usage = await asks(handed, **GREEDY)
        await handed.finished(said, usage=usage)
        assert session.messages[-2:] == (ChatMessage("user", QUESTION), ChatMessage("assistant", said))
        assert await (await session.regenerate()).text() == said


async def test_template_variables_of_the_session_go_with_the_call(server: RunningServer) -> None:
    async with (
        AsyncClient.connect(server.address) as client,
        client.session(new_context(), chat_template_kwargs={"enable_thinking": False, "depth": 3}) as session,
    ):
        await warmed(session)
        handed = await session.hand_off()
        _, usage = await asks(handed, **GREEDY)
        assert (usage.prompt_tokens, cached(usage)) == (handed.prompt_tokens, handed.cached_tokens)


async def test_what_runs_there_counts_as_the_load_of_others(
    server: RunningServer, embedded_engine: EmbeddedEngine
) -> None:
    async with (
        AsyncClient.connect(server.address) as client,
        client.session(new_context()) as session,
        AsyncOpenAI(base_url=f"http://{server.openai_address}/v1", api_key="none") as openai,
    ):
        handed = await session.hand_off(QUESTION)
        stream = await openai.chat.completions.create(**handed.for_openai(), stream=True, max_tokens=400)
        await anext(aiter(stream))
        assert embedded_engine.load.others == 1
        await stream.close()
        async with asyncio.timeout(30):
            while embedded_engine.load.others:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)


async def test_a_key_protects_the_port(embedded_engine: EmbeddedEngine) -> None:
    async with (
        running_server([embedded_engine], settings(openai_args={"api_key": ["secret"]})) as server,
        AsyncClient.connect(server.address) as client,
        client.session(new_context()) as session,
    ):
        handed = await session.hand_off(QUESTION)
        with pytest.raises(AuthenticationError):
            await asks(handed, **GREEDY)
        said, _ = await asks(handed, api_key="secret", **GREEDY)
        assert said


async def test_callers_use_the_port_with_the_keys_of_their_streams(
    embedded_engine: EmbeddedEngine, tmp_path: Path
) -> None:
    certificates, trusting = Certificates.new(tmp_path), ssl.create_default_context()
    certificates.authority.configure_trust(trusting)
    access = settings(
        tls_cert=certificates.cert,
        tls_key=certificates.key,
        callers=callers_file(tmp_path, with_key("key")),
        openai_args={"allowed_origins": ["https://app.example"]},
    )
    root = certificates.authority.cert_pem.bytes()
    async with (
        running_server([embedded_engine], access) as server,
        AsyncClient.connect(server.address, tls=root, api_key="key") as client,
        client.session(new_context()) as session,
    ):
        await warmed(session)
        handed = await session.hand_off()
        assert handed.base_url == f"https://{server.openai_address}/v1"
        with pytest.raises(AuthenticationError, match="no credentials came that this server knows"):
            await asks(handed, tls=trusting, **GREEDY)
        _, usage = await asks(handed, api_key="key", tls=trusting, **GREEDY)
        assert cached(usage) == handed.cached_tokens > 200
        async with httpx.AsyncClient(verify=trusting, base_url=f"https://{server.openai_address}") as http:
            asking = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
            for path in ("/metrics", "/v1/models"):
                assert (await http.get(path)).status_code == 401
                assert (await http.options(path)).status_code == 401
                assert (await http.options(path, headers=asking)).text == "OK", "vLLM's CORS answers, and no more"


async def test_the_port_ends_with_the_server_and_the_engine_goes_on(embedded_engine: EmbeddedEngine) -> None:
    async with running_server([embedded_engine], settings()) as server, httpx.AsyncClient() as http:
        url = f"http://{server.openai_address}"
        models = (await http.get(f"{url}/v1/models")).json()["data"]
        assert [model["id"] for model in models] == [embedded_engine.info.model]
    async with httpx.AsyncClient() as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{url}/health")
    async with (
        running_server([embedded_engine], settings(openai_port=-1)) as server,
        AsyncClient.connect(server.address) as client,
        client.session(new_context(), sampling=Sampling(max_tokens=2)) as session,
    ):
        assert server.openai_address == ""
        assert await (await session.submit(QUESTION)).text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"no_such_flag": 1}, "no_such_flag is no argument"),
        ({"chat_template": "{{ messages }}"}, "sets prompts apart"),
        ({"enable_auto_tool_choice": True, "tool_call_parser": "none of vLLM's"}, "check --openai-args"),
    ],
)
async def test_bad_arguments_are_told_in_one_line(
    embedded_engine: EmbeddedEngine, arguments: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(EngineStartError, match=complaint) as refused:
        async with running_server([embedded_engine], settings(openai_args=arguments)):
            raise AssertionError("it is not served")
    assert "\n" not in str(refused.value)


async def test_a_port_in_use_is_told_in_one_line(embedded_engine: EmbeddedEngine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ListenError, match="--openai-port"):
        async with running_server([embedded_engine], settings(openai_port=taken.getsockname()[1])):
            raise AssertionError("it is not served")
