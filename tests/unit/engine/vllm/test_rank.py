"""The ranks of a data-parallel embedded vLLM, without vLLM: which rank is asked, and what it says of itself."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from types import SimpleNamespace
from typing import Any

import pytest
from forefill_service.chat.generation import Output, Sampling
from forefill_service.engine import EngineInfo, EngineLoad, FakeEngine, Request
from forefill_service.engine.base import ONE_TOKEN, RANK_HEADER, ChatRequest, Engine, Priority
from forefill_service.engine.vllm import EmbeddedEngine
from forefill_service.engine.vllm.load import LoadReader
from forefill_service.engine.vllm.rank import EmbeddedRank
from forefill_service.engine.vllm.start import StartedVllm
from forefill_service.fleet.backend import Backend
from forefill_service.fleet.metrics import Metrics
from forefill_service.fleet.replicas import Route
from forefill_service.settings import Settings


class Whole:
    """Takes the place of the embedded engine."""

    name, up = "embedded", True
    info, chat = EngineInfo("model", 16, 8192), FakeEngine().chat
    rendering = SimpleNamespace(ids=lambda _: [1, 2, 3], splitter=lambda *_: None)

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.aborted = 0
        self.closed = 0
        self.loads = LoadReader()

    def load_of(self, rank: int) -> EngineLoad:
        return self.loads.of(rank)

    async def check(self, sampling: Sampling, adapter: str) -> str:
        return f"checked {adapter}"

    async def validate(self, sampling: Sampling) -> None:
        """Accept all of them."""

    async def generate(self, request: Request, rank: int) -> AsyncGenerator[Output, None]:
        self.asked.append(rank)
        try:
            yield Output("a", (1,), 0, None)
            yield Output("b", (2,), 0, "stop")
        finally:
            self.aborted += 1

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def whole() -> Any:
    return Whole()


@pytest.fixture
def ranks(whole: Any) -> list[EmbeddedRank]:
    return [EmbeddedRank(whole, rank) for rank in range(3)]


def request() -> Request:
    return Request([1], ONE_TOKEN, Priority.WARM)


async def test_a_request_goes_to_its_own_rank(whole: Whole, ranks: list[EmbeddedRank]) -> None:
    assert [output.text async for output in ranks[2].generate(request())] == ["a", "b"]
    assert whole.asked == [2]


async def test_what_one_rank_can_do_all_can(ranks: list[EmbeddedRank]) -> None:
    assert await ranks[1].check(Sampling(), "sql") == "checked sql"


async def test_closing_the_generator_aborts_it_at_once(whole: Whole, ranks: list[EmbeddedRank]) -> None:
    async with aclosing(ranks[1].generate(request())) as outputs:
        await anext(outputs)
    assert whole.aborted == 1


async def test_its_chat_endpoint_answers_on_the_same_rank(whole: Whole, ranks: list[EmbeddedRank]) -> None:
    asked = ChatRequest(SimpleNamespace(), ONE_TOKEN, Priority.GENERATION)  # type: ignore[arg-type]
    assert [output.text async for output in ranks[1].chat_endpoint.generate(asked)] == ["a", "b"]
    assert whole.asked == [1]


def test_each_rank_has_the_load_of_its_own_scheduler(whole: Whole, ranks: list[EmbeddedRank]) -> None:
    scheduler = SimpleNamespace(num_running_reqs=3, num_waiting_reqs=1, kv_cache_usage=0.5)
    whole.loads._heard(1, scheduler, None)
    assert [rank.load.running for rank in ranks] == [0, 3, 0]


def test_sessions_are_placed_on_ranks_by_their_load(ranks: list[EmbeddedRank]) -> None:
    async def unused(*_: Any) -> None:
        """Render nothing."""

    engines: list[Engine] = [*ranks]
    replicas = Backend.of(engines, Settings(), Metrics(), unused).replicas
    with ExitStack() as stack:
        for number in range(30):
            stack.enter_context(Route(replicas, f"session-{number}").open())
        there = {replica.name: replica.sessions for replica in replicas.all}
    assert there == {"embedded#0": 10, "embedded#1": 10, "embedded#2": 10}


def test_an_embedded_vllm_with_data_parallelism_is_placed_on_by_ranks() -> None:
    def engines(ranks: int) -> list[str]:
        config = SimpleNamespace(
            model_config=SimpleNamespace(
                get_diff_sampling_param=dict, max_model_len=8192, get_vocab_size=lambda: 49152
            ),
            parallel_config=SimpleNamespace(data_parallel_size=ranks),
            cache_config=SimpleNamespace(block_size=16, num_gpu_blocks=100),
        )
        started = StartedVllm(SimpleNamespace(vllm_config=config), "model", LoadReader(), None)
        rendering: Any = SimpleNamespace(harmony=False)
        chat: Any = FakeEngine().chat
        return [engine.name for engine in EmbeddedEngine(started, chat, rendering).engines()]

    assert engines(1) == ["embedded"]
    assert engines(2) == ["embedded#0", "embedded#1"]


def test_a_request_to_its_openai_api_names_the_rank(ranks: list[EmbeddedRank]) -> None:
    assert [rank.openai_headers("a session") for rank in ranks] == [{RANK_HEADER: str(rank)} for rank in range(3)]
    assert RANK_HEADER == "X-data-parallel-rank", "vLLM reads it under this name"


async def test_they_are_stopped_together(whole: Whole, ranks: list[EmbeddedRank]) -> None:
    await ranks[0].close()
    assert whole.closed == 1
