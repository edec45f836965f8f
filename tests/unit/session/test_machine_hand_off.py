"""Hand-offs in the state machine: the application asks the engine itself, and says what came of it."""

import pytest
from forefill_service.chat.messages import ChatMessage
from forefill_service.errors import Reason
from forefill_service.session.actions import (
    Action,
    BeginTurn,
    Close,
    Defer,
    Drafted,
    Generate,
    HandOver,
    Hinted,
    Refuse,
    Settle,
)
from forefill_service.session.events import (
    Cancel,
    CharAdd,
    End,
    HandOff,
    HandOffFinished,
    Hint,
    KeystrokeEvent,
    Kind,
    Open,
    ReportedUsage,
    Submit,
)
from forefill_service.session.machine import Phase, Session

from tests.support.session_typist import SYSTEM, Typist, in_phase, state

ASKED, ANSWERED = ChatMessage("user", "Show me all"), ChatMessage("assistant", "SELECT 1")
USAGE = ReportedUsage(40, 32, 7)


def handed_off(*typed: Kind) -> Typist:
    typist = in_phase(Phase.HANDED_OFF)
    for kind in typed:
        typist.does(kind)
    return typist


def test_a_hand_off_takes_the_draft_or_the_text_that_wins_over_it() -> None:
    typist = Typist(draft="Show me al")
    assert typist.does(HandOff()) == [HandOver(1, "Show me al")]
    assert (typist.session.draft, typist.session.phase) == ("", Phase.HANDED_OFF)
    assert Typist(draft="Show me al").does(HandOff("Show me all")) == [HandOver(1, "Show me all")]


def test_a_server_that_tells_no_address_refuses_it_and_the_draft_stays() -> None:
    session = Session(1000, offers_hand_off=False)
    session.receive(Open((SYSTEM,), draft="Show me"))
    before = state(session)
    assert session.receive(KeystrokeEvent(1, HandOff())) == [Refuse(Reason.HAND_OFF_NOT_OFFERED, 1, 7)]
    assert state(session) == before


def test_the_conversation_grows_by_what_the_application_reports() -> None:
    typist = handed_off()
    assert typist.does(HandOffFinished((ASKED, ANSWERED), USAGE)) == [
        Settle(USAGE, answered=True),
        BeginTurn((SYSTEM, ASKED, ANSWERED), ""),
    ]
    assert typist.session.phase is Phase.COMPOSING


def test_the_next_turn_may_be_typed_meanwhile() -> None:
    typist = handed_off()
    assert typist.does(CharAdd("And now ")) == []
    assert typist.flushes() == [Defer(3, 8)]
    assert typist.does(Hint(True)) == []
    assert typist.does(HandOffFinished((ASKED, ANSWERED)))[1:] == [
        BeginTurn((SYSTEM, ASKED, ANSWERED), "And now "),
        Drafted("And now "),
        Hinted(True),
    ]


def test_a_hand_off_of_which_nothing_came_gives_its_text_back() -> None:
    typist = handed_off()
    assert typist.does(HandOffFinished(usage=USAGE)) == [Settle(USAGE), BeginTurn((SYSTEM,), "")]
    assert typist.session.draft == ASKED.content
    assert typist.does(Submit()) == [Generate(3, ASKED.content)]


def test_it_leaves_a_draft_that_was_begun_meanwhile() -> None:
    typist = handed_off(CharAdd("And now"))
    assert typist.does(HandOffFinished())[1:] == [BeginTurn((SYSTEM,), ""), Drafted("And now")]


@pytest.mark.parametrize("keep_text", [True, False])
def test_cancel_takes_it_back_and_the_conversation_is_as_it_was(keep_text: bool) -> None:
    typist = handed_off(CharAdd("And now"))
    assert typist.does(Cancel(keep_text)) == [Settle(), BeginTurn((SYSTEM,), ""), Drafted("And now")]
    assert typist.session.phase is Phase.COMPOSING


def test_end_takes_it_back_and_closes() -> None:
    expected: list[Action] = [Settle(), Close()]
    typist = handed_off()
    assert typist.does(End()) == expected
    assert typist.session.phase is Phase.CLOSED


@pytest.mark.parametrize(
    ("messages", "detail"),
    [((ASKED, ChatMessage("", "a")), "needs a role"), ((ChatMessage("user", "x" * 2000),), "of 1024 code points")],
)
def test_messages_that_do_not_fit_are_refused_and_it_stays_open(messages: tuple[ChatMessage, ...], detail: str) -> None:
    session = Session(1000, max_rewritten_code_points=1024)
    session.receive(Open((SYSTEM,)))
    session.receive(KeystrokeEvent(1, HandOff("Show me all")))
    before = state(session)
    [refused] = session.receive(KeystrokeEvent(2, HandOffFinished(messages, USAGE)))
    assert isinstance(refused, Refuse)
    assert refused.reason is Reason.INVALID_HAND_OFF
    assert detail in refused.detail
    assert state(session) == before
    assert session.receive(KeystrokeEvent(3, HandOffFinished((ASKED, ANSWERED))))[0] == Settle(
        answered=True, usage=ReportedUsage()
    )
