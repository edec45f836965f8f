"""The record of a stream: what it counts, the line at the end of its session, and the spans of its turns."""

import logging
from collections.abc import Mapping
from typing import Any

import pytest
from forefill_service.access.caller import ANYBODY, Caller
from forefill_service.errors import Reason
from forefill_service.fleet.metrics import Metrics
from forefill_service.fleet.streams import StreamRecord
from forefill_service.fleet.traces import Attribute, Span
from forefill_service.session.events import CharAdd, Flush, HandOff, KeystrokeEvent, Open, Submit
from forefill_service.session.ledger import Balance
from forefill_service.session.responses import (
    FlushOutcome,
    FlushResult,
    GenerationFinished,
    GenerationStarted,
    SessionError,
    Source,
)

TYPED = "Zyzzyva"
CALLER = Caller("web", "clinic")


class KeptSpan(Span):
    """A span that remembers what is said of it."""

    recording = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: list[KeptSpan] = []
        self.attributes: dict[str, Attribute] = {}
        self.events: list[str] = []
        self.ended: str | None = None

    def child(self, name: str, began_at_ns: int) -> Span:
        child = KeptSpan(name)
        self.children.append(child)
        return child

    def happened(self, name: str) -> None:
        self.events.append(name)

    def describe(self, attributes: Mapping[str, Attribute]) -> None:
        self.attributes.update(attributes)

    def end(self, error: str = "") -> None:
        assert self.ended is None, "a span ends once"
        self.ended = error


@pytest.fixture
def span() -> KeptSpan:
    return KeptSpan("stream")


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def stream(metrics: Metrics, span: KeptSpan) -> StreamRecord:
    return StreamRecord(metrics, span)


def types(stream: StreamRecord, seq: int = 1) -> None:
    stream.received(KeystrokeEvent(seq, CharAdd(TYPED)))


def submits(stream: StreamRecord, seq: int) -> None:
    stream.received(KeystrokeEvent(seq, Submit(TYPED)))


def answers(stream: StreamRecord, seq: int, reason: str = "stop", ledger: Balance = Balance()) -> None:  # noqa: B008
    stream.sent(GenerationStarted(seq, 0.5, 40, 32, Source.WARM))
    stream.sent(GenerationFinished(seq, reason, 40, 32, 8, 0.1, 0.5, 1.0, ledger))


# --- the line at the end


def line_of(stream: StreamRecord, caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    caplog.set_level(logging.INFO)
    stream.close()
    [record] = caplog.records
    assert record.getMessage() == "a session has ended"
    fields: dict[str, Any] = vars(record)["forefill"]
    return fields


def test_the_line_of_a_session_has_its_end_its_counts_and_its_ledger(
    stream: StreamRecord, caplog: pytest.LogCaptureFixture
) -> None:
    stream.opened(CALLER)
    stream.received(Open(session_key=TYPED))
    types(stream)
    stream.sent(FlushResult(2, 3, FlushOutcome.WARMED))
    submits(stream, 3)
    answers(stream, 3)
    stream.settled(Balance(warms=2, used=30, edited_away=4, adopted=1, answer_engine_seconds=0.12345))
    stream.sent(SessionError(Reason.DRAFT_DIVERGED, TYPED, 4, 0))
    stream.settled(Balance(warms=1, used=2, abandoned=7))
    stream.ended()
    line = line_of(stream, caplog)
    assert line.pop("seconds") >= 0
    assert line == {
        "stream": stream.id,
        "caller": "web",
        "tenant": "clinic",
        "end": "ended",
        "events": 3,
        "flushes": 1,
        "answers": 1,
        "refusals": 1,
        "warms": 3,
        "used": 32,
        "edited_away": 4,
        "evicted": 0,
        "abandoned": 7,
        "kept": 0,
        "pregenerations": 0,
        "adopted": 1,
        "discarded": 0,
        "answer_engine_seconds": 0.123,
    }


def test_the_line_of_a_session_that_was_refused_has_the_reason(
    stream: StreamRecord, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    stream.opened(ANYBODY)
    stream.refused(Reason.CLIENT_TOO_SLOW)
    assert line_of(stream, caplog)["end"] == "client_too_slow"
    ends = metrics.registry.get_sample_value("forefill_stream_ends_total", {"reason": "client_too_slow"})
    assert ends == 1


def test_a_client_that_is_gone_or_frozen_is_a_cancelled_stream(
    stream: StreamRecord, caplog: pytest.LogCaptureFixture
) -> None:
    stream.opened(ANYBODY)
    assert line_of(stream, caplog)["end"] == "cancelled"


def test_a_stream_without_a_session_has_no_line(stream: StreamRecord, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    stream.refused(Reason.TOO_MANY_SESSIONS)
    stream.close()
    assert caplog.records == []


def test_two_streams_of_one_session_key_have_two_ids(metrics: Metrics) -> None:
    assert StreamRecord(metrics).id != StreamRecord(metrics).id


# --- the spans


def test_a_turn_begins_with_its_first_key_and_ends_with_its_answer(stream: StreamRecord, span: KeptSpan) -> None:
    stream.received(Open())
    assert span.children == []
    for seq in range(1, 50):
        types(stream, seq)
    stream.received(KeystrokeEvent(50, Flush(1, 0)))
    assert [turn.ended for turn in span.children] == [None]
    [turn] = span.children
    submits(stream, 51)
    answers(stream, 51, ledger=Balance(warms=2, used=30))
    assert (turn.name, turn.events, turn.ended) == ("forefill.turn", ["submit", "first token"], "")
    expected = {"turn": 1, "flushes": 1, "source": "warm", "cached_tokens": 32, "finish_reason": "stop"}
    assert turn.attributes.items() >= {**expected, "ledger.used": 30, "ledger.warms": 2}.items()


def test_keys_during_an_answer_begin_the_next_turn(stream: StreamRecord, span: KeptSpan) -> None:
    submits(stream, 1)
    types(stream, 2)
    answers(stream, 1)
    first, second = span.children
    assert (first.ended, second.ended) == ("", None)
    submits(stream, 3)
    answers(stream, 3)
    assert (second.ended, second.attributes["turn"]) == ("", 2)
    assert len(span.children) == 2


def test_the_requests_of_a_turn_are_named_in_its_span(stream: StreamRecord, span: KeptSpan) -> None:
    base = stream.request_id()
    types(stream)
    warm = stream.request_id()
    submits(stream, 2)
    answer = stream.request_id()
    types(stream, 3)
    next_warm = stream.request_id()
    answers(stream, 2)
    submits(stream, 4)
    answers(stream, 4)
    assert [turn.attributes["engine_requests"] for turn in span.children] == [[base, warm, answer], [next_warm]]
    assert len({base, warm, answer, next_warm}) == 4
    assert all(named.startswith(f"forefill-{stream.id}-") for named in (base, warm, answer))


def test_an_answer_that_fails_ends_the_turn_with_the_reason(stream: StreamRecord, span: KeptSpan) -> None:
    submits(stream, 1)
    stream.sent(SessionError(Reason.DRAFT_DIVERGED, TYPED, 7, 0))
    assert span.children[0].ended is None, "another event was refused"
    stream.sent(SessionError(Reason.GENERATION_FAILED, TYPED, 1, 0))
    submits(stream, 2)
    answers(stream, 2)
    assert [turn.ended for turn in span.children] == ["GENERATION_FAILED", ""]


def test_a_hand_off_is_a_turn(stream: StreamRecord, span: KeptSpan) -> None:
    stream.received(KeystrokeEvent(1, HandOff(TYPED)))
    stream.sent(GenerationFinished(1, "handed off", 40, 32, 8, 0.1, 0.0, 1.0, Balance()))
    assert span.children[0].attributes["finish_reason"] == "handed off"


def test_what_an_engine_calls_the_end_of_an_answer_is_not_repeated(stream: StreamRecord, span: KeptSpan) -> None:
    submits(stream, 1)
    answers(stream, 1, reason=TYPED)
    assert span.children[0].attributes["finish_reason"] == "other"


def test_the_end_of_a_stream_ends_what_is_open(stream: StreamRecord, span: KeptSpan) -> None:
    stream.opened(CALLER)
    submits(stream, 1)
    types(stream, 2)
    stream.refused(Reason.SERVER_STOPPING)
    stream.close()
    assert [turn.ended for turn in span.children] == ["server_stopping", "server_stopping"]
    assert span.ended == "server_stopping"
    assert span.attributes.items() >= {"tenant": "clinic", "end": "server_stopping", "id": stream.id}.items()


def test_nothing_typed_is_in_a_span(stream: StreamRecord, span: KeptSpan) -> None:
    types(stream)
    submits(stream, 2)
    stream.sent(SessionError(Reason.GENERATION_FAILED, TYPED, 2, 0, TYPED))
    stream.close()
    said = [str((each.name, each.attributes, each.events, each.ended)) for each in (span, *span.children)]
    assert TYPED not in "".join(said)


def test_without_traces_engines_choose_their_ids_and_keys_leave_nothing(metrics: Metrics) -> None:
    stream = StreamRecord(metrics)
    types(stream)
    submits(stream, 2)
    answers(stream, 2)
    stream.close()
    assert stream.request_id() == ""
