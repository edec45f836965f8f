"""Edits of the draft."""

import pytest
from forefill_service.errors import Reason, Refusal
from forefill_service.session.draft import checksum, edited
from forefill_service.session.events import CharAdd, CharDelete, Edit, Replace

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
