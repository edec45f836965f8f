"""Bad events: each has a typed answer, and what can go on goes on."""

import grpc
from forefill.v1 import keystroke_pb2 as pb
from forefill_service.engine import FakeEngine
from forefill_service.server import RunningServer

from tests.support.wire import Wire
from tests.support.work import Work

DRAFT = "Show me all the patients that were seen by a doctor in the last year, and say when "


async def test_an_event_without_a_kind_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open()
    seq = await wire.event()
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_EVENT_MISSING, seq)
    await wire.still_works()


async def test_a_hint_is_known_and_changes_nothing(wire: Wire) -> None:
    assert (await wire.open()).accepts_hints
    await wire.type(DRAFT)
    for likely in (True, True, False):
        await wire.event(hint=pb.Hint(submit_likely=likely))
    assert (await wire.flush()).confirmed_code_points == len(DRAFT), "the next response answers the FLUSH"
    await wire.still_works()


async def test_a_hint_at_the_next_turn_is_no_error_while_an_answer_runs(wire: Wire) -> None:
    await wire.open(sampling=pb.Sampling(max_tokens=20))
    seq = await wire.send_submit(DRAFT)
    await wire.type("And now ")
    await wire.event(hint=pb.Hint(submit_likely=True))
    assert (await wire.answer()).finished.seq == seq
    await wire.still_works()


async def test_a_number_that_goes_back_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open()
    await wire.type("Show")
    await wire.numbered(1, char_add=pb.CharAdd(text="x"))
    error = await wire.error()
    assert (error.reason, error.seq, error.draft_code_points) == (pb.ERROR_REASON_SEQUENCE_REPEATED, 1, 4)
    await wire.still_works()


async def test_a_number_that_jumps_is_reported(wire: Wire) -> None:
    await wire.open()
    await wire.numbered(7, char_add=pb.CharAdd(text="Show"))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_SEQUENCE_GAP, 7)
    wire.draft = "Show"  # the event was carried out
    assert (await wire.flush()).confirmed_code_points == 0
    await wire.still_works()


async def test_a_replace_outside_the_draft_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open(draft="Show")
    seq = await wire.event(replace=pb.Replace(start=3, end=9, text="x"))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_POSITION_OUT_OF_RANGE, seq)
    assert error.draft_code_points == 4
    await wire.still_works()


async def test_deleting_in_an_empty_draft_does_nothing(wire: Wire) -> None:
    await wire.open()
    await wire.event(char_delete=pb.CharDelete(count=5))
    await wire.flush()
    await wire.still_works()


async def test_a_draft_that_diverged_is_not_warmed_and_can_be_repaired(wire: Wire, engine: FakeEngine) -> None:
    await wire.open()
    await wire.type("Show me ")
    wire.draft = "List me "
    seq = await wire.send_flush()
    error = await wire.error()
    assert (error.reason, error.seq, error.draft_code_points) == (pb.ERROR_REASON_DRAFT_DIVERGED, seq, 8)
    await wire.replace(0, error.draft_code_points, DRAFT)
    result = await wire.flush()
    assert result.outcome == pb.FLUSH_OUTCOME_WARMED
    assert result.confirmed_code_points == len(DRAFT)


async def test_a_draft_over_the_limit_is_refused_and_ignored(wire: Wire) -> None:
    opened = await wire.open()
    await wire.type("x" * (opened.limits.max_draft_code_points + 1))
    assert (await wire.error()).reason == pb.ERROR_REASON_DRAFT_TOO_LONG
    await wire.event(submit=pb.Submit(text="x" * 201))
    assert (await wire.error()).reason == pb.ERROR_REASON_DRAFT_TOO_LONG
    await wire.still_works()


async def test_a_message_over_the_limit_ends_the_stream(wire: Wire, bystander: Wire) -> None:
    await wire.open()
    await wire.type("x" * 5_000_000)
    assert (await wire.status())[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_submit_of_nothing_is_refused_and_ignored(wire: Wire) -> None:
    await wire.open()
    await wire.event(submit=pb.Submit())
    assert (await wire.error()).reason == pb.ERROR_REASON_EMPTY_SUBMIT
    await wire.still_works()


async def test_a_prompt_longer_than_the_context_is_refused_and_the_turn_goes_on(
    server: RunningServer, wire: Wire
) -> None:
    long = pb.ChatMessage(role="system", content="word " * 350)
    await wire.write(pb.ComposeRequest(open=pb.Open(messages=[long])))
    await wire.read()
    seq = await wire.event(submit=pb.Submit(text="a b c d e f " * 10))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_PROMPT_TOO_LONG, seq)
    assert "of 400" in error.message
    await wire.still_works()


async def test_a_submit_while_an_answer_runs_is_refused(
    wire: Wire, work: Work, server: RunningServer, engine: FakeEngine
) -> None:
    await wire.open()
    await wire.flush()  # the base prompt is warm
    work.held = True
    await wire.event(submit=pb.Submit(text="Show me"))
    seq = await wire.event(submit=pb.Submit(text="Show me more"))
    error = await wire.error()
    assert (error.reason, error.seq) == (pb.ERROR_REASON_GENERATION_RUNNING, seq)
    work.go_on()
    await wire.answer()
    await wire.still_works()


async def test_events_after_end_are_ignored_and_the_answer_still_comes(
    wire: Wire, work: Work, engine: FakeEngine
) -> None:
    await wire.open()
    await wire.flush()
    work.held = True
    await wire.event(submit=pb.Submit(text="Show me"))
    await wire.event(end=pb.End())
    await wire.type("x")
    assert (await wire.error()).reason == pb.ERROR_REASON_SESSION_ENDED
    await wire.call.done_writing()
    work.go_on()
    await wire.answer()
    assert await wire.status() == (grpc.StatusCode.OK, "")
