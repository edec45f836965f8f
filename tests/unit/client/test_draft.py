"""The client's draft against a plain string, and where its words end."""

import pytest
from forefill_client.draft import APOSTROPHES, Draft, ends_word, smallest_replace
from forefill_service.session.draft import last_boundary
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


@given(st.lists(st.text(alphabet="ab .'字", max_size=4), max_size=20))
def test_a_word_end_is_flushed_once(pieces: list[str]) -> None:
    draft, flushed = Draft(), []
    for piece in pieces:
        draft.add(piece)
        if draft.ends_new_word():
            draft.confirm(None)
            flushed.append(max(draft.text.rfind(char) for char in draft.text if ends_word(char)))
        assert not draft.ends_new_word()
    assert flushed == sorted(set(flushed))


def test_deleting_back_over_a_word_end_flushes_only_when_it_is_typed_again() -> None:
    draft = Draft("one two ")
    draft.confirm(None)
    draft.delete(3)
    assert not draft.ends_new_word()
    draft.add("wo ")
    assert draft.ends_new_word()


def test_what_a_flush_left_unconfirmed_is_flushed_by_the_next_edit() -> None:
    draft = Draft("one two ")
    draft.confirm(4)
    draft.add("th")
    assert draft.ends_new_word()


def test_an_edit_cuts_into_what_a_flush_confirmed() -> None:
    draft = Draft("one two ")
    draft.confirm(8)
    draft.replace(4, 5, "w")
    assert draft.confirmed_code_points == 4
    draft.confirm(None)
    draft.delete(2)
    assert draft.confirmed_code_points is None


# Word ends


@pytest.mark.parametrize("char", [*" \t\n\u3000\u00a0", *".,;:!?()-/«»—", *"。、！患者あカ환😀"])
def test_white_space_punctuation_and_wide_characters_end_a_word_for_the_sdk(char: str) -> None:
    assert ends_word(char)


@pytest.mark.parametrize("char", [*"aé9Жع=+$", "_", "'", "\u2019", "\u0301"])
def test_letters_connectors_and_apostrophes_end_none(char: str) -> None:
    assert not ends_word(char)


@given(st.characters(codec="utf-8"))
def test_whenever_the_sdk_flushes_the_server_confirms_something_new(char: str) -> None:
    assert last_boundary(f"one {char}") == (5 if ends_word(char) or char in APOSTROPHES else 4)
