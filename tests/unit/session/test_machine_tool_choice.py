"""Turns with a choice of tools of their own, in the state machine."""

import pytest
from forefill_service.chat.generation import Sampling, Structure
from forefill_service.chat.tool_choice import NamedTool, ToolChoice, UnknownMode, WantedChoice
from forefill_service.errors import Reason
from forefill_service.session.actions import Generate, HandOver, Refuse
from forefill_service.session.events import HandOff, KeystrokeEvent, Open, Respond, Submit
from forefill_service.session.machine import Phase, Session

from tests.support.session_typist import SYSTEM, state

TOOLS = tuple({"type": "function", "function": {"name": name}} for name in ("beds", "staff"))
YES = Sampling(structure=Structure("choice", ("yes",)))


def opened(sampling: Sampling = Sampling(), *, tools: bool = True) -> Session:  # noqa: B008 - it never changes
    session = Session(1000)
    session.receive(Open((SYSTEM,), sampling, draft="Show", tools=TOOLS if tools else ()))
    return session


@pytest.mark.parametrize("choice", [None, "auto", "none", "required", NamedTool("staff")])
def test_what_a_turn_asks_for_has_its_choice_and_the_conversation_keeps_the_sessions(choice: ToolChoice | None) -> None:
    for asked, action in (
        (Submit(tool_choice=choice), Generate(1, "Show", "", choice)),
        (Respond(tool_choice=choice), Generate(1, None, "", choice)),
        (HandOff(tool_choice=choice), HandOver(1, "Show", choice)),
    ):
        session = opened()
        assert session.receive(KeystrokeEvent(1, asked)) == [action]
        assert session.conversation.tool_choice == "auto"


def test_a_turn_may_allow_no_call_beside_a_structure_or_without_tools() -> None:
    for session in (opened(YES), opened(tools=False)):
        assert session.receive(KeystrokeEvent(1, Submit(tool_choice="none"))) == [Generate(1, "Show", "", "none")]


@pytest.mark.parametrize(
    ("session", "choice", "detail"),
    [
        (opened(), NamedTool("wards"), "tool_choice.function is the name of none of the tools"),
        (opened(), NamedTool(""), "tool_choice.function is the name of none of the tools"),
        (opened(), UnknownMode(9), "this server does not know tool_choice.mode 9"),
        (opened(tools=False), "required", "tool_choice requires a call, and there are no tools"),
        (opened(YES), "required", "tool_choice requires a call, so the answer has no choice"),
        (opened(YES), NamedTool("beds"), "tool_choice requires a call, so the answer has no choice"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_and_the_session_is_as_it_was(
    session: Session, choice: WantedChoice, detail: str
) -> None:
    before = state(session)
    for kind in (Submit("So?", tool_choice=choice), Respond(tool_choice=choice), HandOff(tool_choice=choice)):
        event = KeystrokeEvent(session.last_seq + 1, kind)
        assert session.receive(event) == [Refuse(Reason.INVALID_TOOLS, event.seq, len("Show"), detail)]
        assert state(session) == before
    assert session.phase is Phase.COMPOSING
