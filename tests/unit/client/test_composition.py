"""What a session sends for what is done and for what the server says, as values."""

import ast
from collections.abc import Callable, Iterable
from pathlib import Path

import forefill_client.composition
import pytest
from forefill.v1 import keystroke_pb2 as pb
from forefill_client import DraftDiverged, DraftTooLong, FlushOutcome, ForefillError
from forefill_client.composition import EVERYTHING, MAX_REPAIRS_IN_A_ROW, Composition


def composition(draft: str = "", *, auto_flush: bool = False) -> Composition:
    new = Composition(draft, auto_flush=auto_flush)
    new.open(1000)
    return new


def said(events: Iterable[pb.KeystrokeEvent] | None) -> list[object]:
    """What events say, each with its number."""
    return [(event.seq, _said(event)) for event in events or ()]


def _said(event: pb.KeystrokeEvent) -> object:
    match event.WhichOneof("kind"):
        case "char_add":
            return event.char_add.text
        case "char_delete":
            return -event.char_delete.count
        case "flush" if event.flush.HasField("confirmed_code_points"):
            return "flush", event.flush.confirmed_code_points
        case kind:
            return kind


def diverged(seq: int, reason: str = "DRAFT_DIVERGED") -> ForefillError:
    return DraftDiverged("the drafts differ", reason=reason, seq=seq, session_continues=True)


def warmed(seq: int) -> pb.FlushResult:
    return pb.FlushResult(seq=seq, cached_tokens=16, outcome=pb.FLUSH_OUTCOME_WARMED)


@pytest.mark.parametrize("module", ["composition", "draft", "flushes"])
def test_what_decides_neither_waits_nor_reads_a_clock(module: str) -> None:
    path = Path(forefill_client.composition.__file__).with_name(f"{module}.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Await | ast.AsyncFunctionDef)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        assert not {"asyncio", "grpc", "threading", "time"} & set(names)


def test_an_edit_that_ends_words_is_followed_by_one_flush() -> None:
    box = composition(auto_flush=True)
    assert said(box.type("Show me all the")) == [(1, "Show me all the"), (2, "flush")]
    assert said(box.type("m")) == [(3, "m")]
    assert said(box.replace(0, 4, "Give")) == [(4, "replace"), (5, "flush")]
    assert said(box.delete(2)) == [(6, -2)]


def test_while_text_is_composed_nothing_of_it_is_flushed_by_itself() -> None:
    box = composition(auto_flush=True)
    assert said(box.type("先週")) == [(1, "先週"), (2, "flush")]
    assert said(box.type("に", composing=True)) == [(3, "に")]
    assert said(box.replace(2, 3, "にゅ", composing=True)) == [(4, "replace")]
    assert said(box.replace(2, 4, "入院")) == [(5, "replace"), (6, ("flush", 4))]


def test_the_end_of_a_composition_that_changes_nothing_is_flushed() -> None:
    box = composition(auto_flush=True)
    assert said(box.type("に", composing=True)) == [(1, "に")]
    assert said(box.replace(1, 1, "")) == [(2, ("flush", 1))]


def test_a_flush_by_hand_in_mid_composition_names_where_it_begins() -> None:
    box = composition()
    box.type("show me")
    box.type("zhu", composing=True)
    assert said([box.flush()]) == [(3, ("flush", 7))]
    assert said([box.flush(8)]) == [(4, ("flush", 8))]


def test_a_repair_in_mid_composition_confirms_nothing_of_it() -> None:
    box = composition()
    box.type("Show me ")
    flush = box.flush()
    box.type("zhu", composing=True)
    assert said(box.refused(diverged(flush.seq)))[1:] == [(5, "Show me zhu"), (6, ("flush", 8))]


def test_the_next_turn_begins_without_a_composition() -> None:
    box = composition(auto_flush=True)
    box.type("zhu", composing=True)
    box.submit(None)
    assert said(box.type("And ")) == [(3, "And "), (4, ("flush", 4))]


def test_what_is_refused_changes_nothing_and_uses_no_number() -> None:
    box = composition("abc")
    with pytest.raises(DraftTooLong):
        box.type("x" * 998)
    with pytest.raises(ValueError, match="cannot confirm 4 code points of a draft of 3"):
        box.flush(4)
    assert box.draft.text == "abc"
    assert said([box.flush()]) == [(1, "flush")]


def test_a_diverged_draft_is_emptied_sent_whole_and_flushed_again() -> None:
    box = composition()
    box.type("Show ")
    flush = box.flush()
    box.type("me")
    assert said(box.refused(diverged(flush.seq))) == [(4, -EVERYTHING), (5, "Show me"), (6, "flush")]
    assert [(result.seq, result.outcome) for result in box.flush_answered(warmed(6))] == [(2, FlushOutcome.WARMED)]
    assert box.repairs == 1


def test_a_repair_confirms_what_the_caller_confirmed_less_what_was_edited_since() -> None:
    box = composition()
    box.type("Show me all ")
    flush = box.flush(8)
    box.replace(5, 7, "us")
    assert said(box.refused(diverged(flush.seq)))[-1] == (6, ("flush", 5))


def test_one_repair_answers_for_everything_sent_before_it() -> None:
    box = composition()
    box.type("Show me ")
    first, second = box.flush(5), box.flush()
    assert len(box.refused(diverged(first.seq)) or ()) == 3
    assert box.refused(diverged(second.seq)) == []
    assert [result.seq for result in box.flush_answered(warmed(6))] == [2, 3]
    assert box.repairs == 1


def test_after_a_gap_the_flush_waits_for_its_own_result() -> None:
    box = composition()
    flush = box.flush()
    assert len(box.refused(diverged(flush.seq, "SEQUENCE_GAP")) or ()) == 2
    assert [result.seq for result in box.flush_answered(warmed(flush.seq))] == [flush.seq]


def test_repairs_that_do_not_help_are_given_up() -> None:
    box = composition("Show")
    seq = first = box.flush().seq
    for _ in range(MAX_REPAIRS_IN_A_ROW):
        seq = (box.refused(diverged(seq)) or [])[-1].seq
    error = diverged(seq)
    assert box.refused(error) == []
    given_up = box.flushes.get(first)
    assert given_up is not None
    assert given_up.error is error


def test_a_divergence_told_after_submit_calls_for_no_repair_and_the_flush_is_put_off() -> None:
    box = composition("Show")
    flush = box.flush()
    waiting = box.flushes.get(flush.seq)
    box.submit(None)
    assert box.refused(diverged(flush.seq)) == []
    assert waiting is not None
    assert waiting.result is not None
    assert waiting.result.outcome is FlushOutcome.DEFERRED


def test_a_refused_submit_gives_its_text_back_unless_more_was_typed() -> None:
    box = composition("Show")
    box.submit(None)
    assert said(box.submit_refused("Show")) == [(2, -EVERYTHING), (3, "Show")]
    box.submit(None)
    box.type("x")
    assert said(box.submit_refused("Show")) == [(6, -EVERYTHING), (7, "x")], "the server has one or the other"
    assert box.draft.text == "x"


def test_a_hint_that_repeats_the_last_says_nothing() -> None:
    box = composition("Show")
    assert box.hint(likely=False) == []
    [hint] = box.hint(likely=True)
    assert (hint.seq, hint.hint) == (1, pb.Hint(submit_likely=True))
    assert box.hint(likely=True) == []
    [taken_back] = box.hint(likely=False)
    assert (taken_back.seq, taken_back.hint) == (2, pb.Hint())
    assert box.hint(likely=False) == []


CHANGES: dict[str, Callable[[Composition], object]] = {
    "type": lambda box: box.type("s"),
    "delete": lambda box: box.delete(1),
    "replace": lambda box: box.replace(0, 4, "List"),
    "submit": lambda box: box.submit(None),
}
NO_CHANGES: dict[str, Callable[[Composition], object]] = {
    "type nothing": lambda box: box.type(""),
    "delete nothing": lambda box: box.delete(0),
    "replace by the same": lambda box: box.replace(0, 4, "Show"),
    "flush": lambda box: box.flush(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_hint_holds_until_the_draft_changes(change: str) -> None:
    box = composition("Show")
    box.hint(likely=True)
    CHANGES[change](box)
    assert box.hint(likely=False) == []
    assert len(box.hint(likely=True)) == 1


@pytest.mark.parametrize("same", NO_CHANGES)
def test_a_hint_outlives_what_leaves_the_draft_as_it_is(same: str) -> None:
    box = composition("Show")
    box.hint(likely=True)
    NO_CHANGES[same](box)
    assert box.hint(likely=True) == []
    assert len(box.hint(likely=False)) == 1


def test_a_repair_repeats_the_hint_that_it_would_end() -> None:
    box = composition("Show")
    first = box.flush()
    box.hint(likely=True)
    assert said(box.refused(diverged(first.seq))) == [(3, -EVERYTHING), (4, "Show"), (5, "hint"), (6, "flush")]
    box.hint(likely=False)
    assert said(box.refused(diverged(6))) == [(8, -EVERYTHING), (9, "Show"), (10, "flush")]


def test_the_text_of_a_refused_submit_comes_back_without_a_hint() -> None:
    box = composition("Show")
    box.submit(None)
    box.hint(likely=True)
    assert said(box.submit_refused("Show")) == [(3, -EVERYTHING), (4, "Show")]
    assert len(box.hint(likely=True)) == 1


def test_nothing_is_repaired_after_end() -> None:
    box = composition("Show")
    flush = box.flush()
    box.end()
    assert box.refused(diverged(flush.seq)) == []
    assert box.repairs == 0


def test_an_error_about_neither_draft_nor_flush_is_left_to_the_session() -> None:
    assert composition().refused(ForefillError("mend the client", reason="EVENT_MISSING", seq=1)) is None
