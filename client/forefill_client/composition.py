"""The events that a session sends, for its caller's edits and the server's replies: values in, values out.

The server's draft is a copy. The server checks its length and checksum at each flush. If they differ, the whole draft
is sent again and the flush repeated: one event empties the server's draft, whatever it holds by then, and one adds the
text. Replacing as many code points as the server last reported would miss edits that are still on their way.

One repair mends everything that was sent before it, so an error about an earlier event needs no second repair. Nor does
an error about an event before the latest submit, since a submit carries its own text.
"""

from collections.abc import Iterable
from typing import Any, Final

from forefill.v1 import keystroke_pb2 as pb

from .checks import checked_int
from .draft import Draft
from .errors import DraftTooLong, EmptySubmit, ForefillError
from .flushes import Flush, Flushes, superseded
from .reasons import REASONS
from .report import FlushResult
from .texts import checked_text
from .word_ends import confirmable

MAX_REPAIRS_IN_A_ROW: Final = 3
"""A draft that still differs after this many repairs is left alone until the next submit."""
EVERYTHING: Final = 2**32 - 1
"""More code points than a draft can have: a CHAR_DELETE of this many empties it."""

Events = list[pb.KeystrokeEvent]


class Composition:
    """A session's draft and its flushes, turn after turn.

    With `auto_flush`, an edit is followed by a flush if that would confirm something new (`Draft.flush_is_due`): one,
    however many words the edit brought. Such a flush names no confirmed length: the server alone decides where the
    confirmed text ends. But once an edit had `composing`, the client knows better than the server what is under
    composition, and names the length from then on.

    The methods return the numbered events to send, in order. A call that raises changes nothing.
    """

    def __init__(self, draft: str, *, auto_flush: bool) -> None:
        self.draft = Draft(draft)
        self.flushes = Flushes()
        #: How often the draft was sent again because the server's differed.
        self.repairs = 0
        #: Whether END was sent: nothing may follow it.
        self.ended = False
        self._auto_flush = auto_flush
        self._composes = False
        self._submit_likely = False
        self._max_code_points = 0
        self._seq = 0
        # The latest repair or submit mends whatever the events up to this number broke.
        self._mended_through = 0
        self._repair_flush: int | None = None
        self._repairs_in_a_row = 0

    @property
    def number(self) -> int:
        """Number of the last event."""
        return self._seq

    def begin_again(self) -> None:
        """Go on on another stream, which opens with the draft: what was on its way is not needed any more."""
        self.flushes.supersede()
        draft, self.draft = self.draft, Draft(self.draft.text)
        self.draft.composed_from = draft.composed_from
        self._submit_likely = False
        self._mended_through = self._seq
        self._repair_flush = None
        self._repairs_in_a_row = 0

    def resumed(self) -> Events:
        """Say what another stream was not opened with."""
        return [self.end()] if self.ended else self._auto_flushed()

    # The caller's edits.

    def open(self, max_draft_code_points: int) -> Events:
        """Begin, with the server's limit for the draft; 0 means none."""
        self._max_code_points = max_draft_code_points
        self._check_length(len(self.draft.text))
        return self._auto_flushed()

    def type(self, text: str, *, composing: bool = False) -> Events:
        """Append to the draft."""
        self._check_length(len(self.draft.text) + len(checked_text(text)))
        self.draft.add(text, composing=composing)
        self._composes |= composing
        return self._edited([self._event(char_add=pb.CharAdd(text=text))] if text else [])

    def delete(self, count: int) -> Events:
        """Remove code points from the draft's end."""
        removed = self.draft.delete(count)
        return self._edited([self._event(char_delete=pb.CharDelete(count=removed))] if removed else [])

    def replace(self, start: int, end: int, text: str, *, composing: bool = False) -> Events:
        """Put `text` in place of the code points from `start` to before `end`."""
        removed = checked_int(end, "end") - checked_int(start, "start")
        self._check_length(len(self.draft.text) + len(checked_text(text)) - max(0, removed))
        same = self.draft.text[start:end] == text
        self.draft.replace(start, end, text, composing=composing)
        self._composes |= composing
        changed = text or end > start
        events = [self._event(replace=pb.Replace(start=start, end=end, text=text))] if changed else []
        return self._edited(events, same=same)

    def flush(self, confirmed: int | None = None) -> pb.KeystrokeEvent:
        """Flush, and remember the flush so that the caller can ask for its result."""
        event = self._flush(confirmed)
        self.flushes.sent(event.seq)
        return event

    def hint(self, *, likely: bool) -> Events:
        """Say that a submit of the draft is likely soon, or no longer, unless that was said of this draft before."""
        if likely == self._submit_likely:
            return []
        self._submit_likely = likely
        return [self._event(hint=pb.Hint(submit_likely=likely))]

    def cancel(self, *, keep_text: bool) -> pb.KeystrokeEvent:
        """Stop the running answer."""
        return self._event(cancel=pb.Cancel(keep_text=keep_text))

    def rewrite(self, keep_messages: int, messages: Iterable[pb.ChatMessage]) -> pb.KeystrokeEvent:
        """Replace the conversation from a message on."""
        return self._event(rewrite=pb.Rewrite(keep_messages=keep_messages, messages=messages))

    def submit_beside(self, text: str, choice: pb.ToolChoice | None, answer_so_far: str = "") -> Events:
        """Ask for the answer to `text`, or for what follows after a part of it; keep the draft for the next turn."""
        text = self._to_enter(text)
        return self._beside_draft(submit=pb.Submit(text=text, answer_so_far=answer_so_far, tool_choice=choice))

    def hand_off_beside(self, text: str, choice: pb.ToolChoice | None) -> Events:
        """Say that the application asks for the answer to `text` itself; keep the draft for the next turn."""
        return self._beside_draft(hand_off=pb.HandOff(text=self._to_enter(text), tool_choice=choice))

    def submit(self, text: str | None, choice: pb.ToolChoice | None = None) -> pb.KeystrokeEvent:
        """Ask for the answer to `text` (default: the draft), and begin the next turn with an empty draft.

        `choice` is the turn's own; None: the session's. So it is in what else begins a turn.
        """
        return self._entered(self._event(submit=pb.Submit(text=self._to_enter(text), tool_choice=choice)))

    def fits(self, text: str) -> bool:
        """Return whether a draft may be as long as this text."""
        return not self._max_code_points or len(text) <= self._max_code_points

    def respond(self, choice: pb.ToolChoice | None, answer_so_far: str = "") -> pb.KeystrokeEvent:
        """Ask for the answer to the conversation, or for what follows after a part of it; the draft stays."""
        return self._event(respond=pb.Respond(answer_so_far=answer_so_far, tool_choice=choice))

    def hand_off(self, text: str | None, choice: pb.ToolChoice | None) -> pb.KeystrokeEvent:
        """Say that the application asks for that answer itself, and begin the next turn with an empty draft."""
        return self._entered(self._event(hand_off=pb.HandOff(text=self._to_enter(text), tool_choice=choice)))

    def hand_off_finished(self, finished: pb.HandOffFinished) -> pb.KeystrokeEvent:
        """Say what came of it."""
        return self._event(hand_off_finished=finished)

    def take_back(self, text: str) -> None:
        """Have the text of a hand-off in the draft again, as the server has it by then, unless another was begun."""
        if not self.draft.text:
            self.draft = Draft(text)

    def _to_enter(self, text: str | None) -> str:
        text = checked_text(self.draft.text if text is None else text)
        if not text:
            raise EmptySubmit(
                "there is nothing to submit: type something first, or pass the text",
                session_continues=True,
                reason="EMPTY_SUBMIT",
            )
        self._check_length(len(text))
        return text

    def _beside_draft(self, **kind: Any) -> Events:
        draft, likely = self.draft, self._submit_likely
        events = [self._entered(self._event(**kind))]
        self.draft, self._submit_likely = draft, likely
        return events + self._whole_draft() if draft.text else events

    def _entered(self, event: pb.KeystrokeEvent) -> pb.KeystrokeEvent:
        self.draft = Draft()
        self._submit_likely = False
        self.flushes.begin_turn()
        self._mended_through = event.seq
        self._repair_flush = None
        self._repairs_in_a_row = 0
        return event

    def end(self) -> pb.KeystrokeEvent:
        """End the session."""
        self.ended = True
        return self._event(end=pb.End())

    # The server's replies.

    def flush_answered(self, result: pb.FlushResult) -> list[FlushResult]:
        """Return the results of the caller's flushes that this flush on the wire stood for."""
        if result.seq == self._repair_flush:
            self._repairs_in_a_row = 0
        return self.flushes.answered(result)

    def submit_refused(self, text: str) -> Events:
        """Put the text of a refused submit back into the draft, unless the user has typed something since.

        The server has put it back if it had nothing else by then, so it is sent in both cases what the draft is.
        """
        if self.ended or not text:
            return []
        if not self.draft.text:
            self.draft = Draft(text)
            self._submit_likely = False
        return self._whole_draft()

    def refused(self, error: ForefillError) -> Events | None:
        """Repair the draft, or settle the flush that was refused; return None if the error is about neither."""
        seq = error.seq or 0
        if error.reason in REASONS and REASONS[error.reason].repairable:
            return self._repair(error)
        if not self.flushes.awaited(seq):
            return None
        for flush in self.flushes.taken(seq):
            flush.error = error
        return []

    def _event(self, **kind: Any) -> pb.KeystrokeEvent:
        self._seq += 1
        return pb.KeystrokeEvent(seq=self._seq, **kind)

    def _edited(self, events: Events, *, same: bool = False) -> Events:
        self._submit_likely &= same or not events
        return events + self._auto_flushed()

    def _auto_flushed(self) -> Events:
        return [self.flush()] if self._auto_flush and self.draft.flush_is_due() else []

    def _flush(self, confirmed: int | None) -> pb.KeystrokeEvent:
        draft = self.draft
        if confirmed is None and self._composes:
            confirmed = confirmable(draft.text) if draft.composed_from is None else draft.composed_from
        draft.confirm(confirmed)
        return self._event(
            flush=pb.Flush(
                draft_code_points=len(draft.text), draft_crc32=draft.checksum(), confirmed_code_points=confirmed
            )
        )

    def _whole_draft(self) -> Events:
        events = [self._event(char_delete=pb.CharDelete(count=EVERYTHING))]
        if self.draft.text:
            events.append(self._event(char_add=pb.CharAdd(text=self.draft.text)))
        if self._submit_likely:
            events.append(self._event(hint=pb.Hint(submit_likely=True)))
        return events

    def _repair(self, error: ForefillError) -> Events:
        """Send the whole draft again and repeat the flushes that failed, unless a later event has mended it."""
        seq = error.seq or 0
        failed = [] if error.reason == "SEQUENCE_GAP" else self.flushes.taken(seq)  # a flush after a gap is carried out
        if seq <= self._mended_through:
            self._join_repair(failed)
            return []
        if self._repairs_in_a_row >= MAX_REPAIRS_IN_A_ROW or self.ended:
            for flush in failed:
                flush.error = error
            return []
        self.repairs += 1
        self._repairs_in_a_row += 1
        events = self._whole_draft()
        self._mended_through = self._seq
        again = self._flush(self.draft.confirmed_code_points)
        self._repair_flush = again.seq
        self.flushes.sent_again(again.seq, failed)
        return [*events, again]

    def _join_repair(self, failed: list[Flush]) -> None:
        """Let failed flushes wait for the repair that is on its way; after a submit they are superseded."""
        if self._repair_flush is not None and self.flushes.awaited(self._repair_flush):
            self.flushes.sent_again(self._repair_flush, failed)
        else:
            for flush in failed:
                superseded(flush)

    def _check_length(self, code_points: int) -> None:
        limit = self._max_code_points
        if limit and code_points > limit:
            raise DraftTooLong(
                f"a draft of {code_points} code points is longer than the {limit} that the server accepts: shorten it",
                session_continues=True,
                reason="DRAFT_TOO_LONG",
            )
