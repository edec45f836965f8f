"""The parts of a draft by what has become of them: for colours, and in words. Pure."""

from dataclasses import dataclass
from enum import Enum

from ..draft_marks import DraftMarks


class Part(Enum):
    """What has become of a part of the draft; the value names its style and stands in the legend."""

    BEGUN = "answer begun"
    CACHED = "cached"
    CONFIRMED = "confirmed"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Span:
    """Code points of the draft, from `start` to before `end`."""

    start: int
    end: int
    part: Part


def spans(length: int, marks: DraftMarks) -> list[Span]:
    """Return the parts of a draft of `length` code points, in order; none is empty.

    If an answer to the draft is begun, all of it counts as that. What is cached is shown as such, confirmed or not.
    """
    if marks.begun:
        return [Span(0, length, Part.BEGUN)] if length else []
    cached = min(marks.cached, length)
    confirmed = min(max(marks.confirmed, cached), length)
    parts = (
        Span(0, cached, Part.CACHED),
        Span(cached, confirmed, Part.CONFIRMED),
        Span(confirmed, length, Part.PENDING),
    )
    return [span for span in parts if span.end > span.start]


def in_line(spans_of_draft: list[Span], line_start: int, line_length: int) -> list[Span]:
    """Return the parts of one line, whose first code point is the draft's `line_start`; positions count in the line."""
    cut = [
        Span(max(span.start - line_start, 0), min(span.end - line_start, line_length), span.part)
        for span in spans_of_draft
    ]
    return [span for span in cut if span.end > span.start]


def in_words(length: int, marks: DraftMarks) -> str:
    """Return the same for people who do not see colours: how many characters of the draft are in each part."""
    if not length:
        return ""
    return " · ".join(
        span.part.value if span.part is Part.BEGUN else f"{span.end - span.start} {span.part.value}"
        for span in spans(length, marks)
    )
