"""The client's draft against a plain string, and where its words end."""

import pytest
from forefill_client.draft import Draft, smallest_replace
from forefill_client.word_ends import APOSTROPHES, RUN, confirmable, ends_word
from forefill_service.session import boundary
from forefill_service.session.boundary import last_boundary
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
def test_what_is_confirmed_is_flushed_once(pieces: list[str]) -> None:
    draft, flushed = Draft(), []
    for piece in pieces:
        draft.add(piece)
        if draft.flush_is_due():
            draft.confirm(None)
            flushed.append(confirmable(draft.text))
        assert not draft.flush_is_due()
    assert flushed == sorted(set(flushed))


def test_deleting_back_over_a_word_end_flushes_only_when_it_is_typed_again() -> None:
    draft = Draft("one two ")
    draft.confirm(None)
    draft.delete(3)
    assert not draft.flush_is_due()
    draft.add("wo ")
    assert draft.flush_is_due()


def test_what_a_flush_left_unconfirmed_is_flushed_by_the_next_edit() -> None:
    draft = Draft("one two ")
    draft.confirm(4)
    draft.add("th")
    assert draft.flush_is_due()


def test_an_edit_cuts_into_what_a_flush_confirmed() -> None:
    draft = Draft("one two ")
    draft.confirm(8)
    draft.replace(4, 5, "w")
    assert draft.confirmed_code_points == 4
    draft.confirm(None)
    draft.delete(2)
    assert draft.confirmed_code_points is None


# Word ends


@pytest.mark.parametrize("char", [*" \t\n\u3000\u00a0", *".,;:!?()-/«»—", *"。、！患者あカ😀", *"ผู້ေြខ្"])
def test_white_space_punctuation_and_wide_characters_end_a_word_for_the_sdk(char: str) -> None:
    assert ends_word(char)


@pytest.mark.parametrize("char", [*"aé9Жع=+$", *"환자ㅎ", *"अहሆ", "_", "'", "\u2019", "\u0301"])
def test_letters_connectors_and_apostrophes_end_none(char: str) -> None:
    assert not ends_word(char)


@given(st.characters(codec="utf-8"))
def test_whenever_the_sdk_flushes_the_server_confirms_something_new(char: str) -> None:
    assert last_boundary(f"one {char}") == (5 if ends_word(char) or char in APOSTROPHES else 4)


def test_the_sdk_and_the_server_agree_on_every_code_point() -> None:
    everything = (chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000)
    differ = {char for char in everything if ends_word(char) != bool(last_boundary(char))}
    assert differ == APOSTROPHES
    assert boundary.RUN == RUN


@given(TEXT | st.text(alphabet="ab .字ท한", max_size=30))
def test_a_flush_confirms_by_the_servers_rule(text: str) -> None:
    text = text.replace("'", "").replace("\u2019", "")
    assert confirmable(text) == boundary.confirmable(text, boundary.Client.COMMITS)


# Runs


def flushed_key_by_key(text: str) -> list[int]:
    """Return the lengths of the draft at which a flush was due."""
    draft, flushed = Draft(), []
    for char in text:
        draft.add(char)
        if draft.flush_is_due():
            draft.confirm(None)
            flushed.append(len(draft.text))
    return flushed


def test_within_a_word_of_usual_length_nothing_is_flushed() -> None:
    assert flushed_key_by_key("Show me all beds") == [5, 8, 12]


def test_a_long_run_is_flushed_whenever_enough_of_it_is_old() -> None:
    assert flushed_key_by_key("see " + "0123456789abcdef" * 2) == [4, 12, 16, 20, 24, 28, 32, 36]


def test_a_script_without_spaces_is_flushed_at_every_code_point() -> None:
    assert flushed_key_by_key("เตียง") == [1, 2, 3, 4, 5]


@given(TEXT | st.text(alphabet="ab0_é한", max_size=60))
def test_no_more_than_two_runs_lie_behind_what_was_confirmed(text: str) -> None:
    draft = Draft()
    for char in text:
        draft.add(char)
        confirmed = draft.flush_is_due() and confirmable(draft.text)
        if confirmed:
            draft.confirm(confirmed)
        assert len(draft.text) - (draft.confirmed_code_points or 0) < 2 * RUN


# Composition


def test_text_under_composition_makes_no_flush_due_until_it_is_composed() -> None:
    draft = Draft()
    for end in range(1, 6):
        draft.replace(0, len(draft.text), "せんしゅう"[:end], composing=True)
        assert draft.composed_from == 0
        assert not draft.flush_is_due()
    draft.replace(0, 5, "先週")
    assert draft.composed_from is None
    assert draft.flush_is_due()


def test_what_comes_before_a_composition_makes_a_flush_due() -> None:
    draft = Draft()
    draft.add("先週")
    draft.add("に", composing=True)
    assert draft.composed_from == 2
    assert draft.flush_is_due()
    draft.confirm(2)
    draft.add("ゅ", composing=True)
    assert draft.composed_from == 2
    assert not draft.flush_is_due()


def test_a_composition_begins_where_the_first_of_its_edits_does() -> None:
    draft = Draft("a ")
    draft.add("xian", composing=True)
    draft.replace(4, 6, "", composing=True)
    assert draft.composed_from == 2
    draft.replace(1, 4, "é", composing=True)
    assert draft.composed_from == 1


@pytest.mark.parametrize("edit", ["add", "delete", "replace"])
def test_any_edit_without_composing_ends_the_composition(edit: str) -> None:
    draft = Draft()
    draft.add("xian", composing=True)
    match edit:
        case "add":
            draft.add("")
        case "delete":
            draft.delete(1)
        case _:
            draft.replace(4, 4, "")
    assert draft.composed_from is None
