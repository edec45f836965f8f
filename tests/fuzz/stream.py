"""One stream without a server: bytes to messages, values, the state machine, and its actions back to messages.

Whatever the bytes are, these hold, or an AssertionError says which does not:

    nothing is raised but Refusal, for a reason that may end a stream, in words of a fixed vocabulary
    an event that is refused leaves draft, phase and conversation as they were
    the draft is what a plain list of characters would be after the same edits
    confirmed text is a beginning of the draft, and each FLUSH has one answer
    SUBMIT asks for the text that was sent, or else the draft
    every answer of the session can be written to the wire and read again, and holds nothing that was typed
    what a template gets of the conversation can be made
"""

from collections.abc import Callable, Sequence
from typing import Any

from forefill.v1 import keystroke_pb2 as pb
from forefill_service.chat.openai_form import chat_fields
from forefill_service.chat.template_input import messages_for_template, tool_for_template, variables_for_template
from forefill_service.engine.fake import FakeChat
from forefill_service.errors import Reason, Refusal
from forefill_service.serving.content_limits import ContentLimits
from forefill_service.session.actions import (
    Action,
    BeginTurn,
    Close,
    Confirm,
    Defer,
    Drafted,
    Generate,
    HandOver,
    Hinted,
    Refuse,
    Settle,
    Stop,
)
from forefill_service.session.events import Open
from forefill_service.session.ledger import Balance
from forefill_service.session.machine import Phase, Session
from forefill_service.session.responses import (
    CANCELLED,
    HANDED_OFF,
    FlushOutcome,
    FlushResult,
    GenerationFinished,
    HandedOff,
    Response,
    SessionError,
)
from forefill_service.wire.incoming import events_of
from forefill_service.wire.statuses import STATUSES
from forefill_service.wire.to_messages import response_to_message

from tests.fuzz.records import Record
from tests.fuzz.vocabulary import ENDS_A_STREAM, SESSION_GOES_ON, is_documented

MAX_DRAFT = 60
MAX_REWRITTEN = 400
LIMITS = ContentLimits(message_bytes=1500, open_bytes=1000, held_bytes=10_000)
"""All of these are low, so that a fuzzer finds what happens beyond them."""
TYPING = (Phase.COMPOSING, Phase.GENERATING, Phase.HANDED_OFF)
ASKING = {"submit", "respond", "hand_off"}


async def _at_once(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


class FuzzedStream:
    """One stream; `ended_by` is the Refusal that ended it, if one did. `reasons` are those of its SessionErrors."""

    def __init__(self) -> None:
        self.session = Session(MAX_DRAFT, MAX_REWRITTEN)
        self.ended_by: Refusal | None = None
        self.kinds: set[str] = set()
        self.reasons: set[Reason] = set()
        self.draft: list[str] = []
        self._stops = False
        self._inbox: list[bytes] = []
        self._events: Any = events_of(self._read, LIMITS, _at_once)

    @property
    def over(self) -> bool:
        return self.ended_by is not None or self.session.phase is Phase.CLOSED

    def play(self, records: Sequence[Record]) -> None:
        """Take one message after the other until the stream is over."""
        for record in records:
            self._answers(record.before)
            if self.over:
                return
            self._takes(record.data)

    def _answers(self, before: int) -> None:
        """End the running answer, if the service is to do so now."""
        session, submitted = self.session, self.session.submitted
        if session.phase not in (Phase.GENERATING, Phase.CLOSING) or before % 4 < 2:
            return
        if self._stops:
            self._performs(session.cancelled("so "))
        elif before % 4 == 2:
            self._performs(session.answered("so it is"))
        else:
            if not self.draft and submitted is not None:
                self.draft = list(submitted)
            self._performs(session.answer_failed())
        self._stops = False
        self._check_draft()

    def _takes(self, data: bytes) -> None:
        session = self.session
        before = session.phase, session.draft, session.conversation, session.last_seq
        try:
            event = self._event(data)
            actions = session.receive(event)
        except Refusal as refusal:
            self._ends(refusal)
            return
        request = pb.ComposeRequest.FromString(data)
        if isinstance(event, Open) and before[0] is Phase.WAITING:
            self.draft = list(request.open.draft)
        refused = [one for one in actions if isinstance(one, Refuse) and one.reason is not Reason.SEQUENCE_GAP]
        if refused:
            assert len(refused) == 1, "one event is refused once"
            assert (session.phase, session.draft, session.conversation) == before[:3]
        self._edits(request, before[0], before[3], refused=bool(refused))
        self._check_asked(request, actions)
        self._performs(actions)
        self._check_draft()
        self._check_flush(request, actions, refused=bool(refused))

    async def _read(self) -> bytes:
        return self._inbox.pop()

    def _event(self, data: bytes) -> Any:
        """Return the event of a message, as the servicer gets it. Nothing is waited for, so no event loop is needed."""
        self._inbox.append(data)
        try:
            self._events.__anext__().send(None)
        except StopIteration as came:
            return came.value
        raise AssertionError("it waits")

    def _edits(self, request: pb.ComposeRequest, phase: Phase, last_seq: int, *, refused: bool) -> None:
        """Do what an edit does to a list of characters, if it fits."""
        event = request.event
        kind = event.WhichOneof("kind")
        self.kinds.add(kind or request.WhichOneof("request") or "nothing")
        if phase not in TYPING or event.seq <= last_seq or kind not in ("char_add", "char_delete", "replace"):
            return
        draft = list(self.draft)
        fits = True
        match kind:
            case "char_add":
                draft.extend(event.char_add.text)
            case "char_delete":
                del draft[max(0, len(draft) - (event.char_delete.count or 1)) :]
            case "replace":
                fits = event.replace.start <= event.replace.end <= len(draft)
                draft[event.replace.start : event.replace.end] = list(event.replace.text)
        fits &= len(draft) <= MAX_DRAFT
        assert fits is not refused, "an edit is refused if and only if it does not fit"
        if fits:
            self.draft = draft

    def _check_asked(self, request: pb.ComposeRequest, actions: Sequence[Action]) -> None:
        """What is asked for is what was sent, or else the draft, which is empty then."""
        event = request.event
        for action in actions:
            match action:
                case Generate(_, None):
                    assert event.WhichOneof("kind") == "respond"
                case Generate(_, text) | HandOver(_, text):
                    asked = event.submit if isinstance(action, Generate) else event.hand_off
                    assert text == (asked.text if asked.HasField("text") else "".join(self.draft))
                    assert 0 < len(text or "") <= MAX_DRAFT
                    self.draft = []
                case Settle() if event.WhichOneof("kind") == "hand_off_finished" and not action.answered:
                    self.draft = self.draft or list(self.session.submitted or "")

    def _check_flush(self, request: pb.ComposeRequest, actions: Sequence[Action], *, refused: bool) -> None:
        if request.event.WhichOneof("kind") == "flush":
            answers = [one for one in actions if isinstance(one, Confirm | Defer)]
            assert len(answers) + refused == 1
            assert all(one.seq == request.event.seq for one in answers)

    def _check_draft(self) -> None:
        session = self.session
        assert session.draft == "".join(self.draft)
        assert 0 <= session.confirmed_code_points <= len(session.draft)

    def _performs(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._performs_one(action)

    def _performs_one(self, action: Action) -> None:
        session = self.session
        match action:
            case BeginTurn(_, confirmed):
                assert session.draft.startswith(confirmed)
                self._renders()
            case Confirm(seq, confirmed):
                assert session.draft.startswith(confirmed)
                if seq is not None:
                    self._says(FlushResult(seq, len(confirmed), FlushOutcome.WARMED))
            case Defer(seq, confirmed_code_points):
                self._says(FlushResult(seq, confirmed_code_points, FlushOutcome.DEFERRED))
            case Drafted(text, composed_code_points):
                assert text == session.draft
                assert 0 <= composed_code_points <= len(text)
            case Generate(_, text):
                FakeChat().encode(FakeChat().render(session.conversation.drafted(text)))
            case HandOver(seq):
                self._says(HandedOff(seq, "http://engine/v1", {}, "", "model", 1, 0))
            case Settle(usage):
                tokens = (
                    (usage.prompt_tokens or 0, usage.cached_tokens or 0, usage.completion_tokens or 0)
                    if usage
                    else (0, 0, 0)
                )
                reason = CANCELLED if usage is None else HANDED_OFF
                self._says(GenerationFinished(1, reason, *tokens, 0.0, 0.0, 0.0, Balance()))
            case Refuse(reason, seq, draft_code_points, detail):
                refusal = Refusal(reason, detail)
                assert reason in SESSION_GOES_ON, reason
                assert is_documented(refusal), str(refusal)
                self.reasons.add(reason)
                self._says(SessionError(reason, str(refusal), seq, draft_code_points))
            case Stop():
                self._stops = True
            case Hinted() | Close():
                pass

    def _renders(self) -> None:
        """Make what a chat template gets, and what an engine's chat endpoint gets."""
        conversation = self.session.conversation
        for form in ("string", "openai"):
            messages_for_template(conversation.messages, form, knows_developer=form == "string")
        for tool in conversation.tools:
            tool_for_template(tool)
        variables_for_template(conversation)
        chat_fields(conversation)

    def _says(self, response: Response) -> None:
        message = response_to_message(response)
        assert pb.ComposeResponse.FromString(message.SerializeToString()) == message

    def _ends(self, refusal: Refusal) -> None:
        assert refusal.reason in ENDS_A_STREAM, refusal.reason
        assert refusal.reason in STATUSES
        assert is_documented(refusal), str(refusal)
        self.ended_by = refusal
