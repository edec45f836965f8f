"""The state machine of one stream, row by row."""

import pytest
from forefill_service.errors import Reason, Refusal
from forefill_service.session.actions import (
    BeginTurn,
    Close,
    Confirm,
    Drafted,
    Hinted,
    Refuse,
)
from forefill_service.session.boundary import Client
from forefill_service.session.events import (
    Cancel,
    CharAdd,
    CharDelete,
    End,
    Flush,
    HandOff,
    HandOffFinished,
    Hint,
    KeystrokeEvent,
    Kind,
    Open,
    Replace,
    Respond,
    Rewrite,
    Submit,
    Unknown,
)
from forefill_service.session.machine import RULES, Phase, Session

from tests.support.composing import COMPOSITIONS, PINYIN
from tests.support.session_typist import SYSTEM, Typist, in_phase, state
from tests.support.texts import HEX, MYANMAR, THAI


def test_open_begins_the_first_turn() -> None:
    session = Session(1000)
    assert session.receive(Open((SYSTEM,))) == [BeginTurn((SYSTEM,), "")]
    assert session.phase is Phase.COMPOSING


def test_a_resumed_draft_is_confirmed_to_its_last_word_boundary() -> None:
    session = Session(1000)
    assert session.receive(Open((SYSTEM,), draft="Show me al"))[0] == BeginTurn((SYSTEM,), "Show me ")
    assert session.draft == "Show me al"


@pytest.mark.parametrize(
    "kind", [CharAdd("a"), CharDelete(), Replace(0, 0, "a"), Flush(0, 0), Hint(True), Submit("a"), End(), Unknown()]
)
def test_anything_before_open_ends_the_stream(kind: Kind) -> None:
    typist = Typist(opened=False)
    before = state(typist.session)
    with pytest.raises(Refusal) as refusal:
        typist.does(kind)
    assert refusal.value.reason is Reason.NOT_OPEN
    assert state(typist.session) == before


def test_a_draft_over_the_limit_at_open_ends_the_stream() -> None:
    session = Session(3)
    with pytest.raises(Refusal) as refusal:
        session.receive(Open(draft="Show"))
    assert refusal.value.reason is Reason.DRAFT_TOO_LONG
    assert session.phase is Phase.WAITING


REFUSED: list[tuple[Phase, Open | Kind, Reason]] = [
    (Phase.COMPOSING, Open(), Reason.ALREADY_OPEN),
    (Phase.COMPOSING, Unknown(), Reason.EVENT_MISSING),
    (Phase.COMPOSING, Replace(0, 1, "x"), Reason.POSITION_OUT_OF_RANGE),
    (Phase.COMPOSING, CharAdd("x" * 1001), Reason.DRAFT_TOO_LONG),
    (Phase.COMPOSING, Submit("x" * 1001), Reason.DRAFT_TOO_LONG),
    (Phase.COMPOSING, Submit(), Reason.EMPTY_SUBMIT),
    (Phase.COMPOSING, Submit(""), Reason.EMPTY_SUBMIT),
    (Phase.GENERATING, Respond(), Reason.GENERATION_RUNNING),
    (Phase.HANDED_OFF, Respond(), Reason.GENERATION_RUNNING),
    (Phase.COMPOSING, Flush(1, 0), Reason.DRAFT_DIVERGED),
    (Phase.COMPOSING, Flush(0, 1), Reason.DRAFT_DIVERGED),
    (Phase.COMPOSING, Flush(0, 0, 1), Reason.POSITION_OUT_OF_RANGE),
    (Phase.COMPOSING, Cancel(keep_text=True), Reason.NOTHING_TO_CANCEL),
    (Phase.COMPOSING, HandOff("x" * 1001), Reason.DRAFT_TOO_LONG),
    (Phase.COMPOSING, HandOff(), Reason.EMPTY_SUBMIT),
    (Phase.COMPOSING, HandOff(""), Reason.EMPTY_SUBMIT),
    (Phase.COMPOSING, HandOffFinished(), Reason.NOTHING_HANDED_OFF),
    (Phase.GENERATING, Open(), Reason.ALREADY_OPEN),
    (Phase.GENERATING, Rewrite(0, ()), Reason.GENERATION_RUNNING),
    (Phase.GENERATING, Submit("again"), Reason.GENERATION_RUNNING),
    (Phase.GENERATING, Unknown(), Reason.EVENT_MISSING),
    (Phase.GENERATING, HandOff("again"), Reason.GENERATION_RUNNING),
    (Phase.GENERATING, HandOffFinished((SYSTEM,)), Reason.NOTHING_HANDED_OFF),
    (Phase.HANDED_OFF, Open(), Reason.ALREADY_OPEN),
    (Phase.HANDED_OFF, Rewrite(0, ()), Reason.GENERATION_RUNNING),
    (Phase.HANDED_OFF, Submit("again"), Reason.GENERATION_RUNNING),
    (Phase.HANDED_OFF, HandOff("again"), Reason.GENERATION_RUNNING),
    (Phase.HANDED_OFF, Replace(0, 1, "x"), Reason.POSITION_OUT_OF_RANGE),
    (Phase.HANDED_OFF, Flush(1, 0), Reason.DRAFT_DIVERGED),
    (Phase.HANDED_OFF, Unknown(), Reason.EVENT_MISSING),
    *[
        (phase, kind, Reason.SESSION_ENDED)
        for phase in (Phase.CLOSING, Phase.CLOSED)
        for kind in (
            *(CharAdd("a"), CharDelete(), Replace(0, 0, "a"), Flush(0, 0), Hint(True), Submit("a"), End()),
            *(Respond(), Rewrite(0, ()), HandOff("a"), HandOffFinished((SYSTEM,))),
        )
    ],
    (Phase.CLOSED, Cancel(keep_text=True), Reason.SESSION_ENDED),
    *[(phase, Open(), Reason.ALREADY_OPEN) for phase in (Phase.CLOSING, Phase.CLOSED)],
    *[(phase, Unknown(), Reason.EVENT_MISSING) for phase in (Phase.CLOSING, Phase.CLOSED)],
]


@pytest.mark.parametrize(("phase", "kind", "reason"), REFUSED)
def test_what_is_refused_leaves_the_session_as_it_was(phase: Phase, kind: Open | Kind, reason: Reason) -> None:
    typist = in_phase(phase)
    before = state(typist.session)
    actions = typist.session.receive(kind) if isinstance(kind, Open) else typist.does(kind)
    seq = 0 if isinstance(kind, Open) else typist.seq
    assert actions == [Refuse(reason, seq, len(typist.session.draft))]
    assert state(typist.session) == before


def test_the_table_has_a_row_for_every_event_in_every_phase() -> None:
    kinds = {Open, CharAdd, CharDelete, Replace, Flush, Hint, Submit, Cancel, Rewrite, End, Unknown}
    kinds |= {Respond, HandOff, HandOffFinished}
    for phase in set(Phase) - {Phase.WAITING}:
        assert {kind for p, kind in RULES if p is phase} == kinds


def test_typing_changes_the_draft_and_says_what_it_is() -> None:
    typist = Typist()
    assert typist.does(CharAdd("Show")) == [Drafted("Show")]
    assert typist.does(CharDelete()) == [Drafted("Sho")]
    assert typist.does(Replace(0, 3, "List")) == [Drafted("List")]
    assert typist.session.draft == "List"


def test_a_draft_to_resume_from_is_said_with_the_turn() -> None:
    opening = Open((SYSTEM,), draft="Show me al")
    assert Session(1000).receive(opening) == [BeginTurn((SYSTEM,), "Show me "), Drafted("Show me al")]


def test_an_edit_that_leaves_the_same_text_is_none() -> None:
    typist = Typist(draft="Show me al")
    assert typist.does(Replace(8, 10, "al")) == []
    assert typist.does(CharAdd("")) == []


def test_an_emptied_draft_is_said_too() -> None:
    assert Typist(draft="S").does(CharDelete()) == [Drafted("")]


def test_deleting_in_an_empty_draft_does_nothing() -> None:
    typist = Typist()
    assert typist.does(CharDelete()) == []
    assert typist.session.draft == ""


def test_a_flush_confirms_to_the_last_word_boundary() -> None:
    typist = Typist(draft="Show me al")
    assert typist.flushes() == [Confirm(1, "Show me ")]


def test_a_flush_confirms_what_the_client_says() -> None:
    typist = Typist(draft="Show me al")
    assert typist.flushes(4) == [Confirm(1, "Show")]


@pytest.mark.parametrize("text", [*THAI, MYANMAR, HEX])
def test_a_flush_confirms_text_without_a_space_but_for_its_last_code_points(text: str) -> None:
    typist = Typist(draft=text)
    [confirm] = typist.flushes()
    assert isinstance(confirm, Confirm)
    assert len(text) - len(confirm.confirmed) in (0, 4)


def test_kana_are_confirmed_when_something_follows_and_at_once_from_a_client_that_commits() -> None:
    typist = Typist(draft="先週に")
    assert typist.flushes() == [Confirm(1, "先週")]
    assert typist.does(CharAdd("入院した")) == [Drafted("先週に入院した")]
    assert typist.session.client is Client.COMMITS
    assert typist.flushes() == [Confirm(3, "先週に入院した")]


def test_a_pause_is_told_how_much_may_be_under_composition() -> None:
    typist = Typist()
    assert typist.does(CharAdd("show xian")) == [Drafted("show xian")]
    assert typist.does(CharAdd("ばん")) == [Drafted("show xianばん", composed_code_points=2)]
    assert typist.does(Replace(9, 11, "番")) == [Drafted("show xian番")]
    assert typist.does(CharAdd("ban")) == [Drafted("show xian番ban", composed_code_points=3)]


def test_what_a_client_shows_of_input_methods_is_kept_over_its_turns() -> None:
    typist = Typist(draft="ばん")
    typist.does(Replace(0, 2, "番"))
    typist.does(Submit())
    typist.session.answered("Yes")
    typist.does(CharAdd("xian shi"))
    assert typist.flushes() == [Confirm(4, "")]


def test_a_flush_without_a_length_takes_back_nothing_that_was_confirmed() -> None:
    typist = Typist(draft="Show me all")
    assert typist.flushes(11) == [Confirm(1, "Show me all")]
    assert typist.flushes() == [Confirm(2, "Show me all")]


def test_a_refused_edit_shows_nothing_of_input_methods() -> None:
    typist = Typist(5, draft="ばん")
    assert typist.does(Replace(0, 2, "番" * 6)) == [Refuse(Reason.DRAFT_TOO_LONG, 1, 2)]
    assert typist.session.client is Client.UNKNOWN


def test_a_hint_is_passed_on_once_and_taken_back_once() -> None:
    typist = Typist(draft="Show me all")
    assert typist.does(Hint(False)) == []
    assert typist.does(Hint(True)) == [Hinted(True)]
    assert typist.does(Hint(True)) == []
    assert typist.does(Hint(False)) == [Hinted(False)]
    assert typist.does(Hint(False)) == []
    assert typist.session.draft == "Show me all"


@pytest.mark.parametrize("edit", [CharAdd("!"), CharDelete(), Replace(0, 4, "List")])
def test_a_hint_holds_until_the_draft_changes(edit: Kind) -> None:
    typist = Typist(draft="Show me all")
    typist.does(Hint(True))
    assert Drafted(typist.session.draft) not in typist.does(Replace(0, 4, "Show"))
    assert typist.does(Hint(True)) == [], "an edit that leaves the same text leaves the hint"
    assert typist.does(edit)[-1] == Drafted(typist.session.draft)
    assert typist.does(Hint(True)) == [Hinted(True)]


def test_a_refused_edit_leaves_the_hint() -> None:
    typist = Typist(5, draft="Show")
    typist.does(Hint(True))
    assert typist.does(CharAdd("me all")) == [Refuse(Reason.DRAFT_TOO_LONG, 2, 4)]
    assert typist.does(Hint(True)) == []


@pytest.mark.parametrize("failed", [False, True])
def test_a_hint_ends_with_submit(failed: bool) -> None:
    typist = Typist(draft="Show me all")
    typist.does(Hint(True))
    typist.does(Submit())
    [begin] = typist.session.answer_failed() if failed else typist.session.answered("SELECT 1")
    assert isinstance(begin, BeginTurn)
    assert typist.does(Hint(True)) == [Hinted(True)]


def test_a_hint_at_the_next_turn_is_told_when_it_begins() -> None:
    typist = in_phase(Phase.GENERATING)
    typist.does(CharAdd("And now "))
    assert typist.does(Hint(True)) == []
    assert typist.session.answered("SELECT 1")[1:] == [Drafted("And now "), Hinted(True)]


@pytest.mark.parametrize("then", [CharAdd("us"), Hint(False)])
def test_a_hint_at_the_next_turn_that_no_longer_holds_is_not_told(then: Kind) -> None:
    typist = in_phase(Phase.GENERATING)
    typist.does(CharAdd("And now "))
    typist.does(Hint(True))
    assert typist.does(then) == []
    assert typist.session.answered("SELECT 1")[1:] == [Drafted(typist.session.draft)]


BLOCK = 16


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_nearly_no_block_is_warmed_for_nothing_while_text_is_composed(name: str) -> None:
    confirmed, final = confirmed_key_by_key(name)
    blocks = [
        (offset, text[:end])
        for offset in range(BLOCK)
        for text in confirmed
        for end in range(BLOCK - offset, len(text) + 1, BLOCK)
    ]
    wasted = {text for _, text in blocks if not final.startswith(text)}
    if name.startswith("pinyin"):  # nothing has shown yet that Latin letters are composed
        assert all(PINYIN[0][0].startswith(text.replace(" ", "'")) for text in wasted)
    else:
        assert wasted == set()
    assert len(set(blocks)) > BLOCK
    assert len(confirmed[-1]) >= len(final) - 4


def confirmed_key_by_key(name: str) -> tuple[list[str], str]:
    """Compose a text with a FLUSH after each key; return what each confirmed, and the text."""
    typist, confirmed, draft = Typist(), [""], ""
    for draft, _ in COMPOSITIONS[name]():
        before = typist.session.draft
        same = next((i for i in range(len(before)) if before[i] != draft[i : i + 1]), len(before))
        typist.does(Replace(same, len(before), draft[same:]))
        [confirm] = typist.flushes()
        assert isinstance(confirm, Confirm)
        confirmed.append(confirm.confirmed)
    return confirmed, draft


def test_an_edit_behind_the_confirmed_text_leaves_it_confirmed() -> None:
    typist = Typist(draft="Show me ")
    assert typist.does(CharAdd("all")) == [Drafted("Show me all")]
    assert typist.does(CharDelete(3)) == [Drafted("Show me ")]
    assert typist.session.confirmed == "Show me "


@pytest.mark.parametrize("edit", [CharDelete(), Replace(5, 7, "us"), Replace(0, 0, "Please ")])
def test_an_edit_into_the_confirmed_text_takes_it_back(edit: Kind) -> None:
    typist = Typist(draft="Show me ")
    assert typist.does(edit) == [Confirm(None, typist.session.confirmed), Drafted(typist.session.draft)]
    assert typist.session.draft.startswith(typist.session.confirmed)


def test_end_closes_a_composing_session_at_once() -> None:
    assert Typist().does(End()) == [Close()]


@pytest.mark.parametrize("failed", [False, True])
def test_end_lets_a_running_answer_finish_first(failed: bool) -> None:
    typist = in_phase(Phase.CLOSING)
    assert (typist.session.answer_failed() if failed else typist.session.answered("SELECT 1")) == [Close()]
    assert typist.session.phase is Phase.CLOSED


def test_a_number_that_repeats_is_ignored() -> None:
    typist = Typist()
    typist.does(CharAdd("a"))
    assert typist.session.receive(KeystrokeEvent(1, CharAdd("b"))) == [Refuse(Reason.SEQUENCE_REPEATED, 1, 1)]
    assert typist.session.receive(KeystrokeEvent(0, CharAdd("b"))) == [Refuse(Reason.SEQUENCE_REPEATED, 0, 1)]
    assert typist.session.draft == "a"
    assert typist.does(CharAdd("b")) == [Drafted("ab")]


def test_a_number_that_jumps_is_reported_and_the_event_carried_out() -> None:
    typist = Typist()
    assert typist.session.receive(KeystrokeEvent(5, CharAdd("a"))) == [Refuse(Reason.SEQUENCE_GAP, 5, 0), Drafted("a")]
    assert typist.session.draft == "a"
    assert typist.session.receive(KeystrokeEvent(6, CharAdd("b"))) == [Drafted("ab")]


def test_a_refused_event_uses_up_its_number() -> None:
    typist = Typist()
    typist.does(Replace(5, 6, "x"))
    assert typist.does(CharAdd("a")) == [Drafted("a")]
