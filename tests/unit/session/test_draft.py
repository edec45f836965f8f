"""Edits of the draft."""

import zlib

import pytest
from forefill_service.errors import Reason, Refusal
from forefill_service.session.draft import STEP, Checksums, checksum, edited
from forefill_service.session.events import CharAdd, CharDelete, Edit, Replace
from hypothesis import given
from hypothesis import strategies as st

FAMILY = "👨‍👩‍👧"  # five code points
E_ACUTE = "e\u0301"


@pytest.mark.parametrize(
    ("text", "edit", "after", "changed_from"),
    [
        ("", CharAdd("a"), "a", 0),
        ("Show", CharAdd(" me"), "Show me", 4),
        ("Show", CharAdd(""), "Show", 4),
        ("Show", CharDelete(), "Sho", 3),
        ("Show", CharDelete(3), "S", 1),
        ("Show", CharDelete(99), "", 0),
        ("", CharDelete(), "", 0),
        ("Show me", Replace(0, 4, "List"), "List me", 0),
        ("Show me", Replace(4, 4, " to"), "Show to me", 4),
        ("Show me", Replace(4, 7, ""), "Show", 4),
        ("Show", Replace(4, 4, " all"), "Show all", 4),
        ("", Replace(0, 0, ""), "", 0),
        (FAMILY, CharDelete(), FAMILY[:-1], 4),
        (f"a{FAMILY}b", Replace(1, 6, "c"), "acb", 1),
        (E_ACUTE, CharDelete(), "e", 1),
    ],
)
def test_an_edit_counts_code_points(text: str, edit: Edit, after: str, changed_from: int) -> None:
    assert edited(text, edit) == (after, changed_from)


@pytest.mark.parametrize("edit", [Replace(0, 5, ""), Replace(3, 2, ""), Replace(5, 5, "x")])
def test_a_replace_outside_the_draft_is_refused(edit: Replace) -> None:
    with pytest.raises(Refusal) as refusal:
        edited("Show", edit)
    assert refusal.value.reason is Reason.POSITION_OUT_OF_RANGE


def test_the_checksum_is_the_crc_32_of_utf_8() -> None:
    assert checksum("123456789") == 0xCBF43926
    assert checksum("é") == 0x0E048D3E


POSITIONS = st.sampled_from([0, 1, STEP - 1, STEP, STEP + 1, 2 * STEP, 3 * STEP + 7])
EDITS = st.lists(
    st.one_of(
        st.builds(CharAdd, st.sampled_from(["a", "é", "👩" * (STEP // 2), "x" * STEP])),
        st.builds(CharDelete, POSITIONS),
        st.tuples(POSITIONS, st.integers(0, 3)).map(lambda at: Replace(at[0], at[0] + at[1], "病")),
    ),
    max_size=12,
)


@given(edits=EDITS, flushes=st.sets(st.integers(0, 12)))
def test_after_any_edits_the_checksum_is_that_of_the_whole_text(edits: list[Edit], flushes: set[int]) -> None:
    text, checksums = "", Checksums()
    for number, edit in enumerate(edits):
        if isinstance(edit, Replace) and edit.end > len(text):
            continue
        text, changed_from = edited(text, edit)
        checksums.changed(changed_from)
        if number in flushes:
            assert checksums.of(text) == checksum(text)
    assert checksums.of(text) == checksum(text)


def test_what_is_before_an_edit_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    crc32 = zlib.crc32

    def reading(data: bytes, value: int = 0) -> int:
        read.append(len(data))
        return crc32(data, value)

    monkeypatch.setattr(zlib, "crc32", reading)
    checksums = Checksums()
    text = "x" * (16 * STEP)
    checksums.of(text)
    assert sum(read) == len(text)
    read.clear()
    checksums.changed(len(text))
    checksums.of(text + "y")
    assert sum(read) == 1
    read.clear()
    checksums.changed(8 * STEP + 1)
    checksums.of(text[: 8 * STEP + 1] + text[8 * STEP + 2 :])
    assert sum(read) == 8 * STEP - 1
