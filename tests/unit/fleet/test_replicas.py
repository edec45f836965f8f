"""The route of each session to one of several engines."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from random import Random
from typing import Any

import pytest
from forefill_service.engine import EngineLoad, FakeEngine
from forefill_service.errors import EngineBusy, EngineUnavailable, EngineUnreachable
from forefill_service.fleet.backend import Backend
from forefill_service.fleet.metrics import Metrics
from forefill_service.fleet.placement import RULES, Load
from forefill_service.fleet.replicas import Place, Replicas, Route
from forefill_service.settings import Settings

LOST = EngineUnavailable("lost")
FEW = RULES["prompt"].at_least
KEYS = [f"session-{number}" for number in range(100)]


async def unused(*_: Any) -> None:
    """Render nothing."""


def replicas_of(engines: Sequence[FakeEngine], **settings: Any) -> Replicas:
    return Backend.of(engines, Settings(**settings), Metrics(), unused).replicas


@pytest.fixture
def engines() -> list[FakeEngine]:
    return [FakeEngine(name=name) for name in ("one", "two", "three")]


def engine_of(place: Place | None) -> str:
    return place.replica.engine.name if place is not None else ""


def test_a_session_stays_with_one_engine_whoever_asks(engines: list[FakeEngine]) -> None:
    ours, theirs = replicas_of(engines), replicas_of(engines[::-1])
    for key in KEYS:
        assert engine_of(Route(ours, key).now) == engine_of(Route(theirs, key).now)
    assert {engine_of(Route(ours, key).now) for key in KEYS} == {"one", "two", "three"}


def test_while_its_engine_is_down_it_goes_elsewhere_and_then_comes_back(engines: list[FakeEngine]) -> None:
    route = Route(replicas_of(engines), "anna")
    home = route.now.replica
    home.engine.faults.down = True  # type: ignore[attr-defined]
    assert route.now.replica is not home
    home.engine.faults.down = False  # type: ignore[attr-defined]
    assert route.now.replica is home


def test_an_engine_that_nobody_has_looked_at_is_not_used(engines: list[FakeEngine]) -> None:
    replicas = replicas_of(engines)
    route = Route(replicas, "anna")
    home = route.now.replica
    home.ready = False
    assert route.now.replica is not home


def test_where_all_are_down_it_stays_where_it_belongs(engines: list[FakeEngine]) -> None:
    replicas = replicas_of(engines)
    home = Route(replicas, "anna").now.replica
    for engine in engines:
        engine.faults.down = True
    assert not replicas.up
    assert Route(replicas, "anna").now.replica is home


def test_elsewhere_is_another_engine_that_is_up(engines: list[FakeEngine]) -> None:
    route = Route(replicas_of(engines), "anna")
    failed = route.now
    assert engine_of(route.elsewhere(failed, LOST)) not in ("", engine_of(failed))
    for engine in engines:
        engine.faults.down = engine is not failed.replica.engine
    assert route.elsewhere(failed, LOST) is None


def test_without_a_retry_left_there_is_no_elsewhere(engines: list[FakeEngine]) -> None:
    route = Route(replicas_of(engines), "anna")
    granted = [route.elsewhere(route.now, LOST) is not None for _ in range(5)]
    assert granted == [True, True, True, False, False]


def test_what_is_believed_cached_is_kept_for_each_engine_and_shared_by_its_sessions(engines: list[FakeEngine]) -> None:
    replicas = replicas_of(engines)
    assert len({id(replica.blocks) for replica in replicas.all}) == 3
    assert {Route(replicas, key).now.cache_partition for key in KEYS} == {""}


class TestPlacement:
    """A session goes to the less loaded replica when it opens, and stays there."""

    @pytest.fixture
    def stack(self) -> Iterator[ExitStack]:
        with ExitStack() as stack:
            yield stack

    def test_sessions_at_random_are_spread_evenly(self, engines: list[FakeEngine], stack: ExitStack) -> None:
        replicas = replicas_of(engines[:2])
        for number in range(40):
            stack.enter_context(Route(replicas, f"{Random(number).getrandbits(64):x}").open())
        assert [replica.sessions for replica in replicas.all] == [20, 20]

    def test_a_session_counts_from_its_opening_to_its_end(self, engines: list[FakeEngine]) -> None:
        replicas = replicas_of(engines)
        route = Route(replicas, "anna")
        assert route.now.replica.sessions == 0
        with suppress(RuntimeError), route.open():
            assert route.now.replica.sessions == 1
            raise RuntimeError
        assert [replica.sessions for replica in replicas.all] == [0, 0, 0]

    def test_a_session_stays_where_it_was_placed_whatever_the_load_becomes(
        self, engines: list[FakeEngine], stack: ExitStack
    ) -> None:
        replicas = replicas_of(engines)
        route = Route(replicas, "anna")
        stack.enter_context(route.open())
        home = route.now.replica
        home.sessions += 100
        assert route.now.replica is home
        assert Route(replicas, "anna").now.replica is not home

    def test_what_the_engines_report_of_others_counts(self, engines: list[FakeEngine]) -> None:
        replicas = replicas_of(engines)
        busy, waited_for, free = (replica.engine for replica in replicas.order("anna"))
        busy.load = EngineLoad(running=9, others=5)  # type: ignore[misc]
        assert replicas.order("anna")[0].load == Load(0, others=5)
        waited_for.load = EngineLoad(waiting=4)  # type: ignore[misc]
        assert Route(replicas, "anna").now.replica.engine is free

    def test_our_own_requests_are_no_ones_else_though_they_wait(self, engines: list[FakeEngine]) -> None:
        [replica] = replicas_of(engines[:1]).all
        replica.engine.load = EngineLoad(waiting=2)  # type: ignore[misc]
        with replica.admission.generation(), replica.admission.generation():
            assert replica.load == Load(0, requests=2, others=0)

    def test_an_engine_that_does_not_report_others_is_not_taken_for_a_busy_one(self, engines: list[FakeEngine]) -> None:
        [replica] = replicas_of(engines[:1]).all
        replica.engine.load = EngineLoad(others=None)  # type: ignore[misc]
        assert replica.load == Load(0)

    def test_only_replicas_that_are_up_are_candidates(self, engines: list[FakeEngine], stack: ExitStack) -> None:
        engines[0].faults.down = True
        replicas = replicas_of(engines)
        for key in KEYS:
            stack.enter_context(Route(replicas, key).open())
        assert [replica.sessions for replica in replicas.all] == [0, 50, 50]

    def test_while_its_home_is_down_it_counts_where_it_is_served(
        self, engines: list[FakeEngine], stack: ExitStack
    ) -> None:
        replicas = replicas_of(engines)
        route = Route(replicas, "anna")
        stack.enter_context(route.open())
        home = route.now.replica
        home.engine.faults.down = True  # type: ignore[attr-defined]
        refuge = route.now.replica
        assert (home.sessions, refuge.sessions) == (0, 1)
        home.engine.faults.down = False  # type: ignore[attr-defined]
        assert route.now.replica is home
        assert (home.sessions, refuge.sessions) == (1, 0)
        home.engine.faults.down = True  # type: ignore[attr-defined]
        assert route.now.replica is refuge
        stack.close()
        assert [replica.sessions for replica in replicas.all] == [0, 0, 0]

    def test_sessions_that_share_a_prompt_stay_together_within_the_bound(
        self, engines: list[FakeEngine], stack: ExitStack
    ) -> None:
        replicas = replicas_of(engines, affinity="prompt")
        for _ in range(FEW):
            stack.enter_context(Route(replicas, "a prompt").open())
        first, second, _ = replicas.order("a prompt")
        assert (first.sessions, second.sessions) == (FEW, 0)
        stack.enter_context(Route(replicas, "a prompt").open())
        assert (first.sessions, second.sessions) == (FEW, 1)

    def test_among_many_other_sessions_those_that_share_a_prompt_are_all_together(
        self, engines: list[FakeEngine], stack: ExitStack
    ) -> None:
        replicas = replicas_of(engines, affinity="prompt")
        for key in KEYS:
            stack.enter_context(Route(replicas, key).open())
        together = set()
        for _ in range(FEW):
            route = Route(replicas, "a prompt")
            stack.enter_context(route.open())
            together.add(engine_of(route.now))
        assert len(together) == 1


class TestResume:
    """A session that resumes at another copy of forefill names its place."""

    def test_another_copy_finds_its_place_whatever_the_load_there(self, engines: list[FakeEngine]) -> None:
        ours, theirs = replicas_of(engines), replicas_of(engines[::-1])
        for replica in ours.order("anna")[:2]:
            replica.sessions = 9
        route = Route(ours, "anna")
        assert route.now.replica is ours.order("anna")[2]
        assert engine_of(Route(theirs, "anna", route.resume_token).now) == engine_of(route.now)
        assert engine_of(Route(theirs, "anna").now) != engine_of(route.now)

    def test_it_keeps_its_token(self, engines: list[FakeEngine]) -> None:
        token = Route(replicas_of(engines), "anna").resume_token
        assert Route(replicas_of(engines), "bert", token).resume_token == token

    def test_a_token_of_no_place_here_is_ignored(self, engines: list[FakeEngine]) -> None:
        replicas = replicas_of(engines)
        assert Route(replicas, "anna", "1.00000000").now == Route(replicas, "anna", "nonsense").now
        assert Route(replicas, "anna", "nonsense").now == Route(replicas, "anna").now

    def test_a_dead_place_falls_to_the_next(self, engines: list[FakeEngine]) -> None:
        replicas = replicas_of(engines)
        route = Route(replicas, "anna")
        home = route.now.replica
        home.engine.faults.down = True  # type: ignore[attr-defined]
        again = Route(replicas, "anna", route.resume_token)
        assert again.now.replica is replicas.order("anna")[1]
        home.engine.faults.down = False  # type: ignore[attr-defined]
        assert again.now.replica is replicas.order("anna")[1], "its blocks are there now"

    def test_one_engine_needs_no_name(self, engines: list[FakeEngine]) -> None:
        assert Route(replicas_of(engines[:1]), "anna").resume_token == ""


class TestRouter:
    @pytest.fixture
    def replicas(self) -> Replicas:
        settings = {"engine": "remote", "engine_url": ["http://router"], "router": True, "router_workers": 4}
        router = FakeEngine(name="router")
        router.info = router.info.__class__("fake", 16, 8192, caches=4)
        return replicas_of([router], **settings)

    def test_it_counts_as_one_replica_for_each_worker(self, replicas: Replicas) -> None:
        assert len(replicas.all) == 4
        assert len({id(replica.admission) for replica in replicas.all}) == 4
        assert {id(replica.engine) for replica in replicas.all} == {id(replicas.all[0].engine)}

    def test_what_is_believed_cached_is_kept_apart_by_key(self, replicas: Replicas) -> None:
        assert Route(replicas, "anna").now.cache_partition == Route(replicas, "anna").now.route == "anna"

    def test_it_decides_itself_so_load_moves_no_session_and_none_has_a_token(self, replicas: Replicas) -> None:
        before = Route(replicas, "anna")
        before.now.replica.sessions += 100
        assert Route(replicas, "anna").now == before.now
        assert before.resume_token == ""

    def test_a_generation_that_was_lost_goes_another_way_and_the_session_with_it(self, replicas: Replicas) -> None:
        route = Route(replicas, "anna")
        lost = route.now
        again = route.elsewhere(lost, LOST)
        assert again is not None
        assert again.route != lost.route
        assert route.now.route == again.route

    def test_a_warm_that_was_lost_moves_the_session_once(self, replicas: Replicas) -> None:
        route = Route(replicas, "anna")
        lost = route.now
        route.leave(lost, LOST)
        moved = route.now.route
        route.leave(lost, LOST)  # a second one, sent before that
        assert moved != lost.route
        assert route.now.route == moved

    def test_a_worker_that_has_no_room_is_gone_round_once_and_keeps_its_session(self, replicas: Replicas) -> None:
        route = Route(replicas, "anna")
        full = route.now
        again = route.elsewhere(full, EngineBusy("no room"))
        assert again is not None
        assert again.route != full.route
        assert route.now == full

    def test_where_the_router_is_away_there_is_no_elsewhere_and_sessions_stay(self, replicas: Replicas) -> None:
        route = Route(replicas, "anna")
        here = route.now
        assert route.elsewhere(here, EngineUnreachable("no connection")) is None
        route.leave(here, EngineUnreachable("no connection"))
        assert route.now == here


def test_elsewhere_is_another_server_rather_than_another_engine_of_the_one_that_failed() -> None:
    engines = [FakeEngine(name=f"{server}#{rank}") for server in ("one", "two") for rank in range(4)]
    replicas = replicas_of(engines, retry_share=1)
    for key in KEYS:
        route = Route(replicas, key)
        failed = route.now
        again = route.elsewhere(failed, LOST)
        assert again is not None
        assert again.replica.server != failed.replica.server
        replicas.retries.generation()
    route = Route(replicas, "anna")
    failed = route.now
    for engine in engines:
        engine.faults.down = not engine.name.startswith(failed.replica.server)
    sibling = route.elsewhere(failed, LOST)
    assert sibling is not None
    assert sibling.replica is not failed.replica
