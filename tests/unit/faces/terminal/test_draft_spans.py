"""The parts of a draft: from its marks to spans, of the whole and of its lines, and to words."""

import pytest
from forefill_chat.draft_marks import DraftMarks
from forefill_chat.terminal.draft_spans import Part, Span, in_line, in_words, spans

PENDING, CONFIRMED, CACHED, BEGUN = Part.PENDING, Part.CONFIRMED, Part.CACHED, Part.BEGUN


@pytest.mark.parametrize(
    ("length", "marks", "parts"),
    [
        (0, DraftMarks(), []),
        (0, DraftMarks(begun=True), []),
        (9, DraftMarks(), [Span(0, 9, PENDING)]),
        (9, DraftMarks(confirmed=5), [Span(0, 5, CONFIRMED), Span(5, 9, PENDING)]),
        (9, DraftMarks(confirmed=5, cached=3), [Span(0, 3, CACHED), Span(3, 5, CONFIRMED), Span(5, 9, PENDING)]),
        (9, DraftMarks(confirmed=9, cached=9), [Span(0, 9, CACHED)]),
        (9, DraftMarks(confirmed=2, cached=4), [Span(0, 4, CACHED), Span(4, 9, PENDING)]),
        (4, DraftMarks(confirmed=9, cached=8), [Span(0, 4, CACHED)]),
        (9, DraftMarks(confirmed=5, cached=3, begun=True), [Span(0, 9, BEGUN)]),
    ],
)
def test_spans(length: int, marks: DraftMarks, parts: list[Span]) -> None:
    assert spans(length, marks) == parts


def test_a_line_has_its_own_part_of_them() -> None:
    whole = spans(12, DraftMarks(confirmed=8, cached=3))  # "abcd\nefgh\nij"
    assert in_line(whole, 0, 4) == [Span(0, 3, CACHED), Span(3, 4, CONFIRMED)]
    assert in_line(whole, 5, 4) == [Span(0, 3, CONFIRMED), Span(3, 4, PENDING)]
    assert in_line(whole, 10, 2) == [Span(0, 2, PENDING)]
    assert in_line(whole, 4, 0) == []


@pytest.mark.parametrize(
    ("length", "marks", "words"),
    [
        (0, DraftMarks(), ""),
        (12, DraftMarks(confirmed=8, cached=3), "3 cached · 5 confirmed · 4 pending"),
        (12, DraftMarks(begun=True), "answer begun"),
    ],
)
def test_in_words_for_who_sees_no_colours(length: int, marks: DraftMarks, words: str) -> None:
    assert in_words(length, marks) == words
