"""Scripts made of a draft's contents."""

from forefill_bench.typing.changes import Changes
from forefill_bench.typing.script import Kind, Script

from tests.support.replaying import replayed


def script(*drafts: str) -> Script:
    changes = Changes()
    for index, draft in enumerate(drafts):
        changes.to(draft, 10.0 * index)
    return changes.submitted(10.0 * len(drafts))


def test_each_content_is_the_stroke_that_leads_to_it() -> None:
    kinds = [stroke.kind for stroke in script("a", "ab", "a", "ax", "bx")]
    assert kinds == [Kind.TYPE, Kind.TYPE, Kind.DELETE, Kind.TYPE, Kind.REPLACE, Kind.SUBMIT]


def test_the_strokes_lead_to_the_last_content() -> None:
    assert replayed(script("w", "wo", "word", "wrd", "wod", "", "all else, pasted", "all")) == "all"


def test_a_content_that_is_there_already_is_no_stroke() -> None:
    assert len(script("a", "a")) == 2


def test_a_word_end_is_flushed_once_and_again_after_it_was_deleted() -> None:
    made = script("a ", "a b", "a ", "a", "a ", "a c ")
    assert [(stroke.at_ms, stroke.confirmed) for stroke in made if stroke.kind is Kind.FLUSH] == [
        (0, 2),
        (40, 2),
        (50, 4),
    ]


def test_enter_has_the_draft_and_its_own_time() -> None:
    enter = script("a", "ab")[-1]
    assert (enter.kind, enter.draft, enter.at_ms) == (Kind.SUBMIT, "ab", 20.0)
