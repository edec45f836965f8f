"""One session of every arm on a fake engine: what it sends, and what it finds cached."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Self, cast

import pytest
from forefill_bench.live.load import LoadWindow, Measured
from forefill_bench.live.plain import openai_client
from forefill_bench.live.player import NaiveFlush
from forefill_bench.live.targets import BenchTargets
from forefill_bench.live.trial import run_trial
from forefill_bench.report.results import Served
from forefill_bench.typing.arms import ARMS
from forefill_bench.typing.people import People, made_up_sittings
from forefill_bench.typing.schedule import Cell, Pace, Trial, plan_trials, plan_window, typing_model
from forefill_bench.typing.styles import AS_LOGGED
from forefill_bench.typing.texts import Nonces
from forefill_bench.typing.workloads import WORKLOADS
from forefill_client import AsyncClient, Session
from forefill_service.engine import FakeEngine, Priority
from forefill_service.server import running_server
from forefill_service.settings import Settings

from tests.support.openai_endpoint import Endpoint, openai_endpoint
from tests.support.still_clock import StillClock

MODEL = typing_model(0.5)
MAX_TOKENS = 8


@dataclass
class Stage:
    targets: BenchTargets
    clock: StillClock
    engine: FakeEngine
    endpoint: Endpoint

    async def run(self, workload: str, arm: str, index: int = 0) -> list[Served]:
        chosen = WORKLOADS[workload]
        plan = plan_trials(chosen, chosen.arms_among([arm]), (index + 1) * chosen.turns, MODEL, 20, seed=1)
        self.engine.requests.clear()
        return await run_trial(self.targets, next(planned for planned in plan if planned.index == index))


class Unhurried:
    """A client whose users wait at each flush until they know what became of it.

    What is cached at Enter is then no matter of who is faster, the typist or the server.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    def session(self, *args: Any, **options: Any) -> "UnhurriedSession":
        return UnhurriedSession(self._client.session(*args, **options))


class UnhurriedSession:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def __aenter__(self) -> Self:
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._session.__aexit__(*error)

    async def flush(self, confirmed: int | None = None) -> int:
        seq = await self._session.flush(confirmed)
        await self._session.flushed(seq)
        return seq

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    engine, clock = FakeEngine(cache_blocks=100_000, context_tokens=16_384), StillClock(NaiveFlush.TASK_NAME)
    async with (
        running_server([engine], Settings(port=0, metrics_port=-1)) as server,
        AsyncClient.connect(server.address, resume=None) as client,
        openai_endpoint() as endpoint,
        openai_client(endpoint.url, None, clock) as openai,
    ):
        unhurried = cast("AsyncClient", Unhurried(client))
        targets = BenchTargets(unhurried, openai, Nonces(), MAX_TOKENS, remote=unhurried, clock=clock)
        yield Stage(targets, clock, engine, endpoint)


def whole_blocks(tokens: int) -> int:
    return (tokens - 1) // 16 * 16


@pytest.mark.parametrize("workload", ["context", "paste", "editing"])
async def test_what_each_arm_finds_cached_is_what_its_name_says(workload: str) -> None:
    async with stage() as on:
        found = {arm: (await on.run(workload, arm))[0] for arm in ARMS if arm != "direct"}
    cached = {arm: served.cached_tokens for arm, served in found.items()}
    prompt_tokens = found["cold"].prompt_tokens
    assert {served.prompt_tokens for served in found.values()} == {prompt_tokens}, "all send the same prompt"
    assert cached["cold"] == 0
    assert cached["oracle"] == whole_blocks(prompt_tokens)
    assert 0 < cached["static"] <= cached["typed"] <= cached["oracle"]
    assert prompt_tokens - cached["typed"] < 40
    assert cached["naive"] >= cached["typed"] - 16
    assert cached["pregen"] >= cached["typed"]


async def test_a_paste_is_beyond_what_plain_prefix_caching_has() -> None:
    async with stage() as on:
        static, typed = [(await on.run("paste", arm))[0] for arm in ("static", "typed")]
    assert static.cached_tokens < 100 < 900 < typed.cached_tokens


@pytest.mark.parametrize("arm", ["cold", "static", "naive", "typed", "pregen", "oracle"])
async def test_no_trial_hits_what_another_one_cached(arm: str) -> None:
    async with stage() as on:
        first, second = [(await on.run("context", arm))[0] for _ in range(2)]
        assert (second.cached_tokens, second.prompt_tokens) == (first.cached_tokens, first.prompt_tokens)
        assert (await on.run("context", "cold"))[0].cached_tokens == 0


async def test_a_shared_prompt_is_found_by_all_but_cold() -> None:
    async with stage() as on:
        for arm in ("static", "typed", "cold"):
            await on.run("short", arm)
        again = {arm: (await on.run("short", arm, index=1))[0] for arm in ("static", "typed", "cold")}
    assert again["cold"].cached_tokens == 0
    assert again["typed"].cached_tokens >= again["static"].cached_tokens > 1000
    assert again["typed"].warm_computed_tokens < 100, "the shared prompt was computed by the session before"


async def test_answers_of_people_have_all_the_tokens_that_they_may_have() -> None:
    async with stage() as on:
        on.engine.answer_tokens = MAX_TOKENS // 2
        for workload, tokens in {"people": MAX_TOKENS, "context": MAX_TOKENS // 2}.items():
            (served,) = await on.run(workload, "oracle")
            assert served.completion_tokens == tokens


async def test_what_is_prepared_is_no_request_of_the_arm() -> None:
    async with stage() as on:
        for arm, engine_requests in {"cold": 1, "static": 2, "oracle": 2}.items():
            (served,) = await on.run("context", arm)
            assert (served.requests_sent, len(on.engine.requests)) == (1, engine_requests)
            assert served.warm_computed_tokens == 0


async def test_naive_asks_for_one_token_at_every_word_at_the_priority_of_a_generation() -> None:
    async with stage() as on:
        (served,) = await on.run("context", "naive")
        warms = [request for request in on.engine.requests if request.sampling.max_tokens == 1]
    assert len(warms) == served.requests_sent - 1 == 10
    assert {request.priority for request in on.engine.requests} == {Priority.GENERATION}
    assert served.warm_computed_tokens >= served.cached_tokens
    assert served.warm_wasted_tokens == served.warm_computed_tokens - served.cached_tokens


async def test_what_typing_cost_comes_from_the_ledger() -> None:
    async with stage() as on:
        (served,) = await on.run("context", "typed")
        warms = [request for request in on.engine.requests if request.priority is Priority.WARM]
    assert served.requests_sent == 1 + len(warms) >= 2
    assert served.warm_computed_tokens >= served.cached_tokens > 1000
    assert (served.warm_wasted_tokens, served.source) == (0, "warm")


@pytest.mark.parametrize("arm", ["cold", "static", "typed", "oracle"])
async def test_turns_go_on_with_the_answers_and_cold_finds_none_of_them(arm: str) -> None:
    async with stage() as on:
        results = await on.run("turns", arm)
    tokens = [served.prompt_tokens for served in results]
    assert len(results) == 3
    assert tokens == sorted(tokens)
    assert tokens[2] > tokens[0] + 20
    for served in results:
        assert served.cached_tokens > 1000 if arm != "cold" else served.cached_tokens == 0


async def test_direct_goes_past_forefill_and_prepares_nothing() -> None:
    async with stage() as on:
        (served,) = await on.run("context", "direct")
        assert (served.text, served.prompt_tokens, len(on.engine.requests)) == ("SELECT 1", 40, 0)
        assert [body["max_tokens"] for body in on.endpoint.asked] == [MAX_TOKENS]


async def test_direct_is_asked_when_the_user_of_any_other_arm_presses_enter() -> None:
    async with stage() as on:
        script = plan_trials(WORKLOADS["context"], [ARMS["direct"]], 1, MODEL, 20, seed=1)[-1].scripts[0]
        began_at = on.clock.now()
        (served,) = await on.run("context", "direct")
        (due_at,) = on.clock.awaited
        assert began_at < due_at - script[-1].at_ms / 1000 < on.clock.now() - on.clock.skipped
        assert served.late_ms > 0


async def test_overhead_prepares_the_same_prompt_at_both_ways() -> None:
    async with stage() as on:
        await on.run("overhead", "direct")
        prepared, measured = on.endpoint.asked
        assert prepared["messages"] == measured["messages"]
        assert (prepared["max_tokens"], measured["max_tokens"]) == (1, MAX_TOKENS)
        await on.run("overhead", "oracle")
        assert on.engine.requests[0].prompt_ids == on.engine.requests[1].prompt_ids


async def window(on: Stage, arm: str, **pace: float) -> Measured:
    planned = plan_window(3, replace(Pace(60.0, 20.0, 0.2), **pace), seed=1)
    heard: list[float] = []
    measured = await LoadWindow(on.targets, Cell(0, planned, ARMS[arm])).run(heard.append)
    assert heard
    assert len(measured.requests) == sum(one.counted for one in planned.sessions)
    assert len(measured.background) == sum(one.counted for one in planned.arrivals)
    return measured


@pytest.mark.parametrize("arm", ARMS)
async def test_a_window_measures_all_that_is_counted(arm: str) -> None:
    async with stage() as on:
        measured = await window(on, arm)
    assert {row.served.error for row in measured.requests} == {""}
    assert all(row.served.ttft_ms is not None and row.typists == 3 for row in measured.requests)
    assert all(row.ttft_ms is not None and row.gaps_ms for row in measured.background)
    cached = {row.served.cached_tokens > 0 for row in measured.requests}
    assert cached == {arm != "cold"}


async def test_every_arrival_of_a_direct_window_goes_past_forefill() -> None:
    async with stage() as on:
        on.engine.requests.clear()
        measured = await window(on, "direct")
        assert not on.engine.requests
        assert len(on.endpoint.asked) >= len(measured.requests) + len(measured.background)


async def test_a_failure_in_a_window_is_a_row_and_the_window_goes_on() -> None:
    async with stage() as on:
        on.endpoint.status = 503
        measured = await window(on, "direct")
    assert all("no room" in row.served.error and row.served.ttft_ms is None for row in measured.requests)
    assert all("no room" in row.error for row in measured.background)


async def test_a_trial_of_a_dead_server_raises() -> None:
    async with stage() as on:
        on.engine.faults.dead = True
        planned = Trial(WORKLOADS["context"], ARMS["cold"], 0, WORKLOADS["context"].write(0, MODEL, Random(1)))
        with pytest.raises(Exception, match="engine"):
            await run_trial(on.targets, planned)


async def test_people_are_served_as_by_default_in_one_session_of_several_turns() -> None:
    people = WORKLOADS["people"]
    sitting = made_up_sittings(AS_LOGGED, People(messages=6), seed=1)[0]
    (default,) = people.arms_among(["pregen"])
    async with stage() as on:
        results = await run_trial(on.targets, Trial(people, default, 0, sitting))
    tokens = [served.prompt_tokens for served in results]
    assert len(results) == 3
    assert tokens == sorted(tokens)
    for served in results:
        assert (served.error, served.cached_tokens > 1000) == ("", True)
        assert served.gaps_ms or served.is_adopted, "of the fake engine an adopted answer may come as one piece"


async def test_a_long_context_is_computed_before_enter() -> None:
    async with stage() as on:
        (cold,), (typed,) = [await on.run("long", arm) for arm in ("cold", "typed")]
    assert cold.prompt_tokens > 7000
    assert (cold.cached_tokens, cold.prompt_tokens - typed.cached_tokens < 60) == (0, True)
