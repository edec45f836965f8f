"""LoRA adapters on real vLLM: the endpoint's answers, and blocks that no other adapter hits, embedded and over HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import AsyncClient, CacheScope
from forefill_service.chat.generation import Sampling
from forefill_service.engine.http import RemoteEngine, connect
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.errors import Reason, Refusal
from forefill_service.server import RunningServer, running_server
from forefill_service.settings import Settings

from tests.support.adapters import MODULE, RANK, random_adapter
from tests.support.embedded import started
from tests.support.openai_call import asks, cached
from tests.support.recording import RecordingEngine
from tests.support.vllm_endpoint import ChatEndpoint, chat_endpoint, over_http
from tests.support.wire import Answer, typing_at

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.filterwarnings("ignore:max_tokens is deprecated"),
]

NAMES = ("sql", "poems")
SYSTEM = "You are a helpful guide to the city of Lisbon, and you answer in one short sentence. " * 4
ASKED = "Where do I find the best coffee?"
MOST = 8
SETTINGS = Settings(port=0, metrics_port=-1)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("adapters")
    return {name: str(random_adapter(directory / name, seed)) for seed, name in enumerate(NAMES)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(paths: dict[str, str]) -> AsyncIterator[EmbeddedEngine]:
    broken = str(Path(paths["sql"]).parent / "broken")
    async with started(
        engine_args={"dtype": "float32", "max_lora_rank": RANK, "lora_target_modules": [MODULE]},
        context_tokens=2048,
        cache_gib=0.5,
        adapters={**paths, "broken": broken},
    ) as engine:
        yield engine


@pytest.fixture(scope="module")
def modules(paths: dict[str, str]) -> list[str]:
    return ["--enable-lora", "--lora-modules", *(f"{name}={path}" for name, path in paths.items())]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def endpoint(engine: EmbeddedEngine, modules: list[str]) -> AsyncIterator[ChatEndpoint]:
    async with chat_endpoint(engine, *modules) as endpoint:
        yield endpoint


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def served(engine: EmbeddedEngine, modules: list[str]) -> AsyncIterator[RemoteEngine]:
    async with over_http(engine, *modules) as url:
        [remote] = await connect(Settings(engine="remote", engine_url=[url]))
        try:
            yield remote
        finally:
            await remote.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["embedded", "remote"])
async def server(
    request: pytest.FixtureRequest, engine: EmbeddedEngine, served: RemoteEngine
) -> AsyncIterator[RunningServer]:
    async with running_server([engine if request.param == "embedded" else served], SETTINGS) as server:
        yield server


async def ask(server: RunningServer, adapter: str, secret: bytes, *, typed: bool = True) -> tuple[int, Answer]:
    """Type and press Enter; return how many tokens the flush computed, and the answer."""
    async with typing_at(
        server.address,
        [("system", SYSTEM)],
        sampling=pb.Sampling(temperature=0, max_tokens=MOST),
        adapter=adapter,
        cache_scope=pb.CACHE_SCOPE_SESSION,
        cache_secret=secret,
        warm_mode=pb.WARM_MODE_AUTO if typed else pb.WARM_MODE_OFF,
    ) as typist:
        await typist.type(ASKED)
        computed = (await typist.flush()).computed_tokens if typed else 0
        return computed, await typist.submit()


async def test_an_adapter_answers_as_at_the_endpoint(server: RunningServer, endpoint: ChatEndpoint) -> None:
    answers = {}
    for name in (*NAMES, ""):
        said = {"model": name} if name else {}
        completion = await endpoint.complete([("system", SYSTEM), ("user", ASKED)], max_tokens=MOST, **said)
        _, answer = await ask(server, name, b"the same for all adapters")
        answers[name] = answer.text
        assert answer.text == completion["choices"][0]["message"]["content"], name
        assert answer.finished.usage.prompt_tokens == completion["usage"]["prompt_tokens"]
    assert len(set(answers.values())) == len(answers)


async def test_blocks_are_hit_by_their_own_adapter_alone(server: RunningServer) -> None:
    secret = server.address.encode().rjust(16, b"x")
    whole = 0
    for name in (*NAMES, ""):
        computed, answer = await ask(server, name, secret)
        whole = max(whole, answer.cached_tokens)
        assert computed > 0, f"{name} was believed to have the blocks of another"
        assert answer.cached_tokens == whole > 0
    for name in (*NAMES, ""):
        computed, again = await ask(server, name, secret)
        assert computed == 0, "what it has computed is known"
        assert again.cached_tokens >= whole


async def test_vllm_agrees_that_another_adapter_finds_nothing(server: RunningServer) -> None:
    secret = server.address.encode().rjust(20, b"y")
    await ask(server, "sql", secret)
    _, cold = await ask(server, "poems", secret, typed=False)
    assert cold.cached_tokens == 0
    _, warm = await ask(server, "sql", secret, typed=False)
    assert warm.cached_tokens > 0


async def test_an_application_finds_what_was_warmed_with_its_adapter(engine: EmbeddedEngine) -> None:
    async with (
        running_server([engine], Settings(port=0, metrics_port=-1, openai_port=0, pregeneration=False)) as server,
        AsyncClient.connect(server.address) as client,
    ):
        for name in (*NAMES, ""):
            context = [("system", f"{name} {SYSTEM}")]
            async with client.session(context, adapter=name, cache_scope=CacheScope.SESSION) as session:
                await session.type(ASKED)
                await session.flushed(await session.flush(len(ASKED)))
                handed = await session.hand_off()
                assert handed.model == (name or engine.info.model)
                _, usage = await asks(handed, temperature=0, max_tokens=4)
                assert cached(usage) == handed.cached_tokens > 0
                _, usage = await asks(handed, model=NAMES[0] if name != NAMES[0] else engine.info.model, max_tokens=4)
                assert cached(usage) == 0, "another model has blocks of its own"


async def test_the_engines_events_name_the_blocks_as_planners_do(engine: EmbeddedEngine) -> None:
    """What vLLM reports to have stored for an adapter is what a later session of it is believed to find."""
    recording = RecordingEngine(engine)
    async with running_server([recording], SETTINGS) as server:
        await ask(server, "sql", b"seen through the events of the cache")
        [replica] = server.backend.replicas.all
        assert replica.blocks.told_by_engine
        told = replica.blocks.believed
        computed, _ = await ask(server, "sql", b"seen through the events of the cache")
        assert computed == 0
        assert replica.blocks.believed == told


@pytest.mark.parametrize("name", ["prose", "broken"])
async def test_an_adapter_that_is_not_there_or_cannot_be_loaded_is_refused(engine: EmbeddedEngine, name: str) -> None:
    with pytest.raises(Refusal) as refusal:
        await engine.check(Sampling(), name)
    assert refusal.value.reason is Reason.ADAPTER_NOT_FOUND
    assert await engine.check(Sampling(), "sql") == ""


async def test_a_server_that_does_not_list_an_adapter_is_not_asked_for_it(
    served: RemoteEngine, paths: dict[str, str]
) -> None:
    with pytest.raises(Refusal) as refusal:
        await served.check(Sampling(), "prose")
    assert refusal.value.reason is Reason.ADAPTER_NOT_FOUND
    assert "sql" not in str(refusal.value), "which it has is not for every client"
    assert await served.check(Sampling(), "sql") == paths["sql"]
