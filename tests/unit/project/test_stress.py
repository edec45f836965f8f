"""The stress of the service: that its typists make no mistakes, and that it measures what they did."""

import os
from itertools import chain

import grpc
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine import FakeEngine
from forefill_service.server import running_server
from forefill_service.session.actions import Confirm, Generate, Refuse
from forefill_service.session.events import Open
from forefill_service.session.machine import Session
from forefill_service.settings import Settings
from forefill_service.wire.from_messages import event_from

from tests.benchmarks import stress
from tests.benchmarks.typing_load import SENTENCE, due_times, turn, turns, typists_at
from tests.support.served import changed

SETTINGS = Settings(port=0, metrics_port=-1, max_sessions=40)


def test_a_session_takes_a_turn_without_a_refusal_and_generates_its_text() -> None:
    session = Session(max_draft_code_points=1000)
    session.receive(Open())
    actions = []
    for message in turn(1):
        event = event_from(pb.ComposeRequest.FromString(message.data))
        actions += session.receive(event)
    assert not any(isinstance(action, Refuse) for action in actions)
    assert all(action.seq is not None for action in actions if isinstance(action, Confirm)), "no edit takes text back"
    assert [action.confirmed for action in actions if isinstance(action, Confirm)][-1] == SENTENCE
    assert actions[-1] == Generate(len(turn(1)), SENTENCE)


def test_most_events_are_keys_with_a_flush_after_every_few_and_one_submit() -> None:
    kinds = [message.kind for message in turn(1)]
    assert kinds.count("char_add") >= len(SENTENCE)
    assert 5 <= len(SENTENCE) / kinds.count("flush") <= 7
    assert [kinds[-1], kinds.count("submit")] == ["submit", 1]


def test_events_are_numbered_on_over_the_turns_of_a_session() -> None:
    numbers = [message.seq for message in chain(*turns(3))]
    assert numbers == list(range(1, 3 * len(turn(1)) + 1))


def test_events_are_due_at_gaps_that_the_rate_divides() -> None:
    assert list(due_times(10, 4, [1, 2, 1])) == [10.25, 10.75, 11]


def test_percentiles_are_in_milliseconds() -> None:
    assert stress.percentiles_ms([n / 1000 for n in range(101)]) == {"p50": 50, "p95": 95, "p99": 99}
    assert stress.percentiles_ms([]) == {}


@pytest.mark.parametrize(("kind", "different"), [("tiny", 1), ("shared", 1), ("own", 3)])
def test_base_prompts_are_shared_or_not_as_their_kind_says(kind: str, different: int) -> None:
    assert len(set(stress.base_prompts(kind, first=7, count=3))) == different


async def test_each_part_measures_a_server() -> None:
    async with running_server([FakeEngine()], SETTINGS) as server:
        at = (server.address, os.getpid())
        throughput = await stress.measure_throughput(*at, streams=2, seconds=0)
        assert throughput.events_per_second > 0
        first, last = await stress.measure_memory(*at, ("shared", 1, 7), streams=(25, 30))
        assert (first.streams, last.streams) == (25, 30)
        assert first.base_prompt_tokens > 1100
        latency = await stress.measure_latency(*at, streams=3, rate=2000, seconds=0.1)
        assert latency.flushes > latency.submits > 0
        assert 0 < latency.flush_ms["p50"] <= latency.flush_ms["p99"]
        rows: list[stress.Row] = [throughput, last, latency]
        assert all(len(stress.line(row)) >= len(stress.heading(row)) for row in rows)


async def test_a_stream_that_is_refused_fails_the_measurement() -> None:
    one = changed(SETTINGS, max_sessions=1)
    async with running_server([FakeEngine()], one) as server, typists_at(server.address) as typists:
        with pytest.raises(ExceptionGroup) as failed:
            await typists.open(["", ""])
        assert failed.group_contains(grpc.aio.AioRpcError, match="RESOURCE_EXHAUSTED")
