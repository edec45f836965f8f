"""A user of the state machine of one stream: what it does, and the session in each of its phases."""

from copy import deepcopy

from forefill_service.chat.messages import ChatMessage
from forefill_service.session.actions import (
    Action,
)
from forefill_service.session.draft import checksum
from forefill_service.session.events import (
    End,
    Flush,
    HandOff,
    KeystrokeEvent,
    Kind,
    Open,
    Submit,
)
from forefill_service.session.machine import Phase, Session

SYSTEM = ChatMessage("system", "You write SQL.")


class Typist:
    """Numbers events and hands them to a session."""

    def __init__(self, max_draft_code_points: int = 1000, *, opened: bool = True, draft: str = "") -> None:
        self.session = Session(max_draft_code_points)
        self.seq = 0
        if opened:
            self.session.receive(Open((SYSTEM,), draft=draft))

    def does(self, kind: Kind) -> list[Action]:
        self.seq += 1
        return self.session.receive(KeystrokeEvent(self.seq, kind))

    def flushes(self, confirmed: int | None = None) -> list[Action]:
        draft = self.session.draft
        return self.does(Flush(len(draft), checksum(draft), confirmed))


def in_phase(phase: Phase) -> Typist:
    typist = Typist(opened=phase is not Phase.WAITING)
    if phase in (Phase.GENERATING, Phase.CLOSING):
        typist.does(Submit("Show me all"))
    if phase is Phase.HANDED_OFF:
        typist.does(HandOff("Show me all"))
    if phase in (Phase.CLOSING, Phase.CLOSED):
        typist.does(End())
    assert typist.session.phase is phase
    return typist


def state(session: Session) -> dict[str, object]:
    return {name: deepcopy(value) for name, value in vars(session).items() if name != "last_seq"}
