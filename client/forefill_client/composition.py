"""What a session has to send for what is done to its draft and for what the server says of it: values in, events out.

The server's draft is a copy. Where the server finds that it differs (it checks length and checksum at each flush), the
whole draft is sent again and the flush repeated: the server's draft is emptied, whatever it holds when the event
arrives, and the text is added. Replacing as many code points as the server last reported would miss the edits that are
still on their way.

One repair mends all that was sent before it, so what the server has against an earlier event calls for no other; nor
does what it has against an event before the latest submit, which brings its own text.
"""

from typing import Any, Final

from forefill.v1 import keystroke_pb2 as pb

from .draft import Draft
from .errors import REASONS, DraftTooLong, EmptySubmit, ForefillError
from .flushes import Flush, Flushes, superseded
from .options import checked_text
from .report import FlushResult

MAX_REPAIRS_IN_A_ROW: Final = 3
"""A draft that still differs after so many repairs is left alone until the next submit."""
EVERYTHING: Final = 2**32 - 1
"""More code points than a draft can have: a CHAR_DELETE of these empties it."""

Events = list[pb.KeystrokeEvent]


class Composition:
    """A session's draft and its flushes, turn after turn.

    With `auto_flush` an edit is followed by one flush where it leaves a word end (`ends_word`) that no flush has
    covered, however many it brought at once. Such a flush names no confirmed length: where the confirmed text ends is
    the server's rule alone.

    Its methods return the numbered events to send, in order. What they refuse changes nothing.
    """

    def __init__(self, draft: str, *, auto_flush: bool) -> None:
        self.draft = Draft(draft)
        self.flushes = Flushes()
        #: How often the server's draft was found to differ and was sent again.
        self.repairs = 0
        #: Whether END was sent, after which nothing may be.
        self.ended = False
        self._auto_flush = auto_flush
        self._max_code_points = 0
        self._seq = 0
        # Events up to this one were sent before the latest repair or submit, which mends whatever they broke.
        self._mended_through = 0
        self._repair_flush: int | None = None
        self._repairs_in_a_row = 0

    # What is done.

    def open(self, max_draft_code_points: int) -> Events:
        """Begin under the server's limit; 0 is none."""
        self._max_code_points = max_draft_code_points
        self._check_length(len(self.draft.text))
        return self._auto_flushed()

    def type(self, text: str) -> Events:
        """Append to the draft."""
        self._check_length(len(self.draft.text) + len(text))
        self.draft.add(text)
        return self._edited([self._event(char_add=pb.CharAdd(text=text))] if text else [])

    def delete(self, count: int) -> Events:
        """Remove code points from the draft's end."""
        removed = self.draft.delete(count)
        return self._edited([self._event(char_delete=pb.CharDelete(count=removed))] if removed else [])

    def replace(self, start: int, end: int, text: str) -> Events:
        """Put `text` in place of the code points from `start` to before `end`."""
        self._check_length(len(self.draft.text) + len(text) - max(0, end - start))
        self.draft.replace(start, end, text)
        changed = text or end > start
        return self._edited([self._event(replace=pb.Replace(start=start, end=end, text=text))] if changed else [])

    def flush(self, confirmed: int | None = None) -> pb.KeystrokeEvent:
        """Flush, and keep a place for the caller to find the result."""
        event = self._flush(confirmed)
        self.flushes.sent(event.seq)
        return event

    def submit(self, text: str | None) -> pb.KeystrokeEvent:
        """Ask for the answer to `text`, default the draft, and begin the next turn with an empty one."""
        text = checked_text(self.draft.text if text is None else text)
        if not text:
            raise EmptySubmit(
                "there is nothing to submit: type something first, or pass the text",
                session_continues=True,
                reason="EMPTY_SUBMIT",
            )
        self._check_length(len(text))
        event = self._event(submit=pb.Submit(text=text))
        self.draft = Draft()
        self.flushes.begin_turn()
        self._mended_through = event.seq
        self._repair_flush = None
        self._repairs_in_a_row = 0
        return event

    def end(self) -> pb.KeystrokeEvent:
        """End the session."""
        self.ended = True
        return self._event(end=pb.End())

    # What the server says.

    def flush_answered(self, result: pb.FlushResult) -> list[FlushResult]:
        """Return what became of each of the caller's flushes that this one on the wire stood for."""
        if result.seq == self._repair_flush:
            self._repairs_in_a_row = 0
        return self.flushes.answered(result)

    def submit_refused(self, text: str) -> Events:
        """Give the text of a refused submit back to the draft, unless something else was typed since."""
        if self.draft.text or self.ended:
            return []
        self.draft = Draft(text)
        return self._whole_draft()

    def refused(self, error: ForefillError) -> Events | None:
        """Repair the draft, or settle the flush that was refused; None where the error is about neither."""
        seq = error.seq or 0
        if error.reason in REASONS and REASONS[error.reason].repairable:
            return self._repair(error)
        if not self.flushes.awaited(seq):
            return None
        for flush in self.flushes.taken(seq):
            flush.error = error
        return []

    # How.

    def _event(self, **kind: Any) -> pb.KeystrokeEvent:
        self._seq += 1
        return pb.KeystrokeEvent(seq=self._seq, **kind)

    def _edited(self, events: Events) -> Events:
        return events + self._auto_flushed()

    def _auto_flushed(self) -> Events:
        return [self.flush()] if self._auto_flush and self.draft.ends_new_word() else []

    def _flush(self, confirmed: int | None) -> pb.KeystrokeEvent:
        draft = self.draft
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
        return events

    def _repair(self, error: ForefillError) -> Events:
        """Send the whole draft again and repeat the flushes that failed, unless that was done since."""
        seq = error.seq or 0
        failed = [] if error.reason == "SEQUENCE_GAP" else self.flushes.taken(seq)  # after a gap, the flush was done
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
        """Let flushes that failed wait for the repair that is on its way; after a submit they are needless."""
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
