"""What became of a turn's flushes.

A flush is known to its caller by the number under which it was first sent. Where the drafts had diverged it is sent
again, and then the answer to the later one on the wire belongs to it; one flush on the wire may stand for many.
"""

from dataclasses import dataclass

from forefill.v1 import keystroke_pb2 as pb

from .errors import ForefillError
from .report import FlushOutcome, FlushResult, flush_result_from_wire


@dataclass(slots=True)
class Flush:
    """What is known of one of the caller's flushes."""

    seq: int
    result: FlushResult | None = None
    error: ForefillError | None = None

    @property
    def answered(self) -> bool:
        """Whether it is known what became of it."""
        return self.result is not None or self.error is not None


class Flushes:
    """The caller's flushes by number, and which of them each flush on the wire stands for."""

    def __init__(self) -> None:
        self._by_seq: dict[int, Flush] = {}
        self._waiting: dict[int, list[Flush]] = {}

    def get(self, seq: int) -> Flush | None:
        """Return the caller's flush of that number; None where this turn has none."""
        return self._by_seq.get(seq)

    def results(self) -> tuple[FlushResult, ...]:
        """Return what became of those that went well, in the order in which they were sent."""
        return tuple(flush.result for flush in self._by_seq.values() if flush.result is not None)

    def sent(self, seq: int) -> None:
        """Note that the caller's flush went out."""
        flush = self._by_seq[seq] = Flush(seq)
        self._waiting[seq] = [flush]

    def awaited(self, seq: int | None) -> bool:
        """Whether a flush on the wire is still to be answered."""
        return seq in self._waiting

    def taken(self, seq: int) -> list[Flush]:
        """Take away the flushes that one on the wire stood for, because it was refused."""
        return self._waiting.pop(seq, [])

    def sent_again(self, seq: int, flushes: list[Flush]) -> None:
        """Note that a flush on the wire stands for these, too."""
        self._waiting.setdefault(seq, []).extend(flushes)

    def answered(self, result: pb.FlushResult) -> list[FlushResult]:
        """Give the flushes that one on the wire stood for their result, and return those."""
        results = []
        for flush in self.taken(result.seq):
            flush.result = flush_result_from_wire(result, flush.seq)
            results.append(flush.result)
        return results

    def begin_turn(self) -> None:
        """Forget the turn before, but for what is still to be answered."""
        self._by_seq = {seq: flush for seq, flush in self._by_seq.items() if not flush.answered}


def superseded(flush: Flush) -> None:
    """Settle a flush that something later made needless."""
    flush.result = FlushResult(flush.seq, 0, 0, 0, 0, FlushOutcome.DEFERRED)
