"""Answers in the state machine: asked for, complete, failed or cancelled; and conversations that are rewritten."""

import pytest
from forefill_service.chat.messages import ChatMessage, ToolCall
from forefill_service.errors import Reason
from forefill_service.session.actions import (
    BeginTurn,
    Defer,
    Drafted,
    Generate,
    Hinted,
    Refuse,
    Stop,
)
from forefill_service.session.events import (
    Cancel,
    CharAdd,
    CharDelete,
    Hint,
    KeystrokeEvent,
    Kind,
    Open,
    Replace,
    Respond,
    Rewrite,
    Submit,
)
from forefill_service.session.machine import Phase, Session

from tests.support.session_typist import SYSTEM, Typist, in_phase, state


def test_submit_takes_the_servers_draft_when_it_brings_no_text() -> None:
    typist = Typist(draft="Show me al")
    assert typist.does(Submit()) == [Generate(1, "Show me al")]
    assert typist.session.draft == ""


def test_the_text_of_submit_wins_over_the_draft() -> None:
    typist = Typist(draft="Show me al")
    assert typist.does(Submit("Show me everything")) == [Generate(1, "Show me everything")]


def test_the_answer_begins_the_next_turn_with_the_conversation_grown() -> None:
    typist = Typist()
    typist.does(Submit("Show me all"))
    conversation = (SYSTEM, ChatMessage("user", "Show me all"), ChatMessage("assistant", "SELECT 1"))
    assert typist.session.answered("SELECT 1") == [BeginTurn(conversation, "")]
    assert typist.session.phase is Phase.COMPOSING


def test_the_next_turn_may_be_typed_while_the_answer_runs() -> None:
    typist = Typist()
    typist.does(Submit("Show me all"))
    assert typist.does(CharAdd("And now ")) == []
    assert typist.flushes() == [Defer(3, 8)]
    [begin, drafted] = typist.session.answered("SELECT 1")
    assert isinstance(begin, BeginTurn)
    assert drafted == Drafted("And now ")
    assert begin.confirmed == "And now "
    assert typist.session.draft == "And now "


@pytest.mark.parametrize("edit", [CharDelete(), Replace(4, 7, " you"), Replace(0, 0, "Oh. ")])
def test_an_edit_into_the_confirmed_text_of_the_next_turn_is_told_when_it_begins(edit: Kind) -> None:
    typist = in_phase(Phase.GENERATING)
    typist.does(CharAdd("And now "))
    typist.flushes()
    assert typist.does(edit) == []
    [begin, drafted] = typist.session.answered("SELECT 1")
    assert isinstance(begin, BeginTurn)
    assert begin.confirmed == typist.session.confirmed != "And now "
    assert drafted == Drafted(typist.session.draft)


def test_a_failed_answer_leaves_the_conversation_as_it_was_and_gives_the_text_back() -> None:
    typist = Typist(draft="Show me all")
    typist.does(Submit())
    assert typist.session.answer_failed() == [BeginTurn((SYSTEM,), "")]
    assert typist.session.draft == "Show me all"
    assert typist.does(Submit()) == [Generate(2, "Show me all")]


def test_a_failed_answer_leaves_a_draft_that_was_begun_meanwhile() -> None:
    typist = in_phase(Phase.GENERATING)
    typist.does(CharAdd("And now"))
    assert typist.session.answer_failed() == [BeginTurn((SYSTEM,), ""), Drafted("And now")]
    assert typist.session.draft == "And now"


@pytest.mark.parametrize("phase", [Phase.GENERATING, Phase.CLOSING])
def test_cancel_stops_an_answer_that_runs(phase: Phase) -> None:
    assert in_phase(phase).does(Cancel(keep_text=False)) == [Stop()]


@pytest.mark.parametrize(("keep_text", "text", "kept"), [(True, "SEL", True), (True, "", False), (False, "SEL", False)])
def test_what_came_of_a_cancelled_answer_is_kept_if_that_was_asked_for(keep_text: bool, text: str, kept: bool) -> None:
    typist = in_phase(Phase.GENERATING)
    typist.does(CharAdd("And now"))
    typist.does(Cancel(keep_text=not keep_text))
    typist.does(Cancel(keep_text=keep_text))  # the last word counts
    turn = (ChatMessage("user", "Show me all"), ChatMessage("assistant", text)) if kept else ()
    assert typist.session.cancelled(text) == [BeginTurn((SYSTEM, *turn), ""), Drafted("And now")]
    assert typist.session.phase is Phase.COMPOSING


def test_a_cancelled_answer_does_not_decide_about_the_next() -> None:
    typist = in_phase(Phase.GENERATING)
    typist.does(Cancel(keep_text=True))
    typist.session.cancelled("SEL")
    typist.does(Submit("And now"))
    assert typist.session.cancelled("INS")[0] == BeginTurn(typist.session.messages[:3], "")


def test_rewrite_replaces_the_conversation_from_a_message_on_and_leaves_the_draft() -> None:
    typist = Typist(draft="And now ")
    typist.does(Submit("Show me all"))
    typist.does(CharAdd("And now "))
    typist.session.answered("SELECT 1")
    asked = ChatMessage("user", "Show me some")
    assert typist.does(Rewrite(1, (asked,))) == [BeginTurn((SYSTEM, asked), ""), Drafted("And now ")]
    assert typist.does(Rewrite(0, ()))[0] == BeginTurn((), "")
    assert typist.session.draft == "And now "


def test_a_conversation_cannot_be_rewritten_without_end() -> None:
    session = Session(1000, max_rewritten_code_points=192)
    session.receive(Open((SYSTEM,)))
    fits, too_long = ChatMessage("user", "x" * 40), ChatMessage("user", "x" * 41)
    for seq, (message, is_refused) in enumerate([(fits, False), (too_long, True)], 1):
        [action, *_] = session.receive(KeystrokeEvent(seq, Rewrite(1, (message,))))
        assert isinstance(action, Refuse) is is_refused
    assert session.messages == (SYSTEM, fits)


@pytest.mark.parametrize(
    "message",
    [
        ChatMessage("user", "", name="x" * 61),
        ChatMessage("tool", "", tool_call_id="x" * 61),
        ChatMessage("assistant", "", reasoning="x" * 61),
        ChatMessage("assistant", "", tool_calls=(ToolCall("x" * 15, "x" * 15, "x" * 16),)),
        ChatMessage("assistant", "", tool_calls=(ToolCall("", "", ""),) * 4),
    ],
)
def test_all_that_a_message_holds_counts(message: ChatMessage) -> None:
    session = Session(1000, max_rewritten_code_points=128)
    session.receive(Open())
    [refused] = session.receive(KeystrokeEvent(1, Rewrite(0, (message,))))
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.INVALID_REWRITE
    [begun] = session.receive(KeystrokeEvent(2, Rewrite(0, (ChatMessage(message.role, ""),))))
    assert isinstance(begun, BeginTurn)


def test_a_draft_that_the_answer_continues_is_one_message_with_it() -> None:
    session = Session(1000)
    session.receive(Open((SYSTEM,), continue_final_message=True))
    session.receive(KeystrokeEvent(1, Submit("SELECT ")))
    assert session.answered("1") == [BeginTurn((SYSTEM, ChatMessage("assistant", "SELECT 1")), "")]
    session.receive(KeystrokeEvent(2, Submit("And ")))
    session.receive(KeystrokeEvent(3, Cancel(keep_text=True)))
    [begun] = session.cancelled("so")
    assert begun == BeginTurn((SYSTEM, *map(assistant_says, ("SELECT 1", "And so"))), "")
    asked = ChatMessage("user", "Why?")
    assert session.receive(KeystrokeEvent(4, Rewrite(2, (asked,)))) == [
        BeginTurn((SYSTEM, assistant_says("SELECT 1"), asked), "")
    ]


def test_a_message_that_was_continued_has_the_calls_of_its_answer() -> None:
    session, call = Session(1000), ToolCall("1", "count_beds", "{}")
    session.receive(Open((SYSTEM,), continue_final_message=True))
    session.receive(KeystrokeEvent(1, Submit("Let me ")))
    assert session.answered("see.", (call,)) == [
        BeginTurn((SYSTEM, ChatMessage("assistant", "Let me see.", tool_calls=(call,))), "")
    ]


def test_a_conversation_is_answered_as_it_is_beside_the_draft() -> None:
    typist = Typist(draft="Show me al")
    assert typist.does(Respond("SEL")) == [Generate(1, None, "SEL")]
    assert typist.does(CharAdd("l")) == []
    answered = BeginTurn((SYSTEM, assistant_says("SELECT 1")), "Show me ")
    assert typist.session.answered("SELECT 1") == [answered, Drafted("Show me all")]


def test_a_hint_outlives_an_answer_that_is_not_to_the_draft() -> None:
    typist = Typist(draft="Show me all.")
    typist.does(Hint(likely=True))
    typist.does(Respond())
    assert typist.session.answered("1")[-1] == Hinted(True)


def test_a_conversation_that_gets_no_answer_stays_as_it_was_and_so_does_the_draft() -> None:
    typist = Typist(draft="Show")
    typist.does(Respond())
    assert typist.session.answer_failed() == [BeginTurn((SYSTEM,), ""), Drafted("Show")]
    typist.does(Submit())
    assert typist.session.answer_failed() == [BeginTurn((SYSTEM,), "")]
    assert typist.session.draft == "Show"


@pytest.mark.parametrize(("keep_text", "kept"), [(True, (ChatMessage("assistant", "SEL"),)), (False, ())])
def test_an_answer_to_a_conversation_can_be_stopped(keep_text: bool, kept: tuple[ChatMessage, ...]) -> None:
    typist = Typist()
    typist.does(Respond())
    assert typist.does(Cancel(keep_text)) == [Stop()]
    assert typist.session.cancelled("SEL") == [BeginTurn((SYSTEM, *kept), "")]


def test_there_is_no_answer_to_an_empty_conversation() -> None:
    session = Session(1000)
    session.receive(Open(draft="Show me"))
    assert session.receive(KeystrokeEvent(1, Respond())) == [Refuse(Reason.EMPTY_SUBMIT, 1, 7)]


def test_an_answer_without_a_draft_continues_the_last_message() -> None:
    session = Session(1000)
    session.receive(Open((SYSTEM, assistant_says("SELECT")), continue_final_message=True))
    session.receive(KeystrokeEvent(1, Respond()))
    assert session.answered(" 1") == [BeginTurn((SYSTEM, assistant_says("SELECT 1")), "")]


def assistant_says(text: str) -> ChatMessage:
    return ChatMessage("assistant", text)


@pytest.mark.parametrize(
    ("rewrite", "detail"),
    [(Rewrite(2, ()), "keep_messages is 2, of 1 messages"), (Rewrite(1, (ChatMessage("", "a"),)), "needs a role")],
)
def test_a_rewrite_that_does_not_fit_is_refused_with_the_cause(rewrite: Rewrite, detail: str) -> None:
    typist = Typist()
    before = state(typist.session)
    [refused] = typist.does(rewrite)
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.INVALID_REWRITE
    assert detail in refused.detail
    assert state(typist.session) == before
