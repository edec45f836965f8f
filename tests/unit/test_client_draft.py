"""The client's draft against a plain string."""

from forefill_client.draft import Draft, smallest_replace
from hypothesis import given
from hypothesis import strategies as st

TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=30)


@given(old=TEXT, new=TEXT)
def test_the_smallest_replace_makes_the_new_text_of_the_old(old: str, new: str) -> None:
    start, end, text = smallest_replace(old, new)
    assert old[:start] + text + old[end:] == new
    assert 0 <= start <= end <= len(old)


@given(text=TEXT, at=st.integers(0, 30), added=TEXT)
def test_an_insertion_is_sent_without_what_stands_around_it(text: str, at: int, added: str) -> None:
    start, end, sent = smallest_replace(text, text[:at] + added + text[at:])
    assert (start - end, len(sent)) == (0, len(added))


@given(st.lists(st.text(alphabet="ab .", max_size=4), max_size=20))
def test_a_boundary_is_flushed_once(pieces: list[str]) -> None:
    draft, flushed = Draft(), []
    for piece in pieces:
        draft.add(piece)
        if (boundary := draft.boundary_to_flush()) is not None:
            draft.confirmed_code_points = boundary
            flushed.append(draft.text[:boundary])
        assert draft.boundary_to_flush() is None
    assert flushed == sorted(set(flushed), key=len)


def test_deleting_back_over_a_boundary_flushes_only_when_it_is_typed_again() -> None:
    draft = Draft("one two ")
    draft.confirmed_code_points = 8
    draft.delete(3)
    assert draft.boundary_to_flush() is None
    draft.add("wo ")
    assert draft.boundary_to_flush() == 8


def test_a_flush_by_hand_confirms_what_was_typed_since_the_last_one() -> None:
    draft = Draft("one ")
    draft.confirmed_code_points = draft.boundary_to_confirm()
    draft.add("two th")
    assert draft.boundary_to_confirm() == 8
