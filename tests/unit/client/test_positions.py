"""Positions that count UTF-16 code units, lines, and user-perceived characters."""

import sys
from typing import Any

import pytest
from forefill_client import InvalidRequest, InvalidText, Session
from forefill_client.positions import Change, changed, clusters, from_line, from_utf16, to_utf16
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scripted_service import Wire, connected
from tests.support.session_events import drain, said

HIGH, LOW = "\ud83d", "\udc4d"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
PIECES = [
    "a",
    " ",
    "\n",
    "\r\n",
    "é",
    "e\u0301",
    "字",
    "𝔘",
    "👍",
    "👍🏽",
    FAMILY,
    "🇩🇰",
    "각",
    "\u1100\u1161\u11a8",
    "क्षि",
]
TEXT = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
BROKEN = st.lists(st.sampled_from([*PIECES, HIGH, LOW]), max_size=8).map("".join)
"""Also with halves of surrogate pairs, as a browser's JSON may hold them."""


def units(text: str) -> list[int]:
    """Return the UTF-16 code units of a text, as JavaScript's charCodeAt gives them."""
    found: list[int] = []
    for char in map(ord, text):
        found += [char] if char < 0x10000 else [0xD800 + (char - 0x10000 >> 10), 0xDC00 + (char - 0x10000 & 0x3FF)]
    return found


def joined(found: list[int]) -> str:
    """Return the text of UTF-16 code units, as JavaScript's strings are read."""
    text, at = "", 0
    while at < len(found):
        high, low = found[at], found[at + 1] if at + 1 < len(found) else 0
        pair = 0xD800 <= high < 0xDC00 <= low < 0xE000
        text += chr(0x10000 + (high - 0xD800 << 10) + (low - 0xDC00)) if pair else chr(high)
        at += 2 if pair else 1
    return text


# Positions


@given(BROKEN)
def test_every_position_is_converted_and_back(text: str) -> None:
    for position in range(len(text) + 1):
        before = to_utf16(text, position)
        assert before == len(units(text[:position]))
        assert from_utf16(text, before) == position


@given(BROKEN)
def test_a_position_inside_a_code_point_is_refused(text: str) -> None:
    between = set(range(len(units(text)) + 1)) - {to_utf16(text, position) for position in range(len(text) + 1)}
    for position in between:
        with pytest.raises(InvalidRequest, match="between the two"):
            from_utf16(text, position)


@pytest.mark.parametrize("position", [-1, 4])
def test_a_position_outside_the_text_is_refused(position: int) -> None:
    for convert in (from_utf16, to_utf16):
        with pytest.raises(InvalidRequest, match="no position in"):
            convert("abc", position)
    with pytest.raises(InvalidRequest, match="no position in"):
        from_utf16("a👍", position)


# Lines


@given(TEXT, st.data())
def test_a_line_and_a_character_name_a_position(text: str, data: st.DataObject) -> None:
    lines = text.replace("\r\n", "\n").split("\n")
    line = data.draw(st.integers(0, len(lines) - 1))
    column = data.draw(st.integers(0, len(lines[line])))
    position = from_line(text, line, to_utf16(lines[line], column))
    assert text[:position].replace("\r\n", "\n").split("\n") == [*lines[:line], lines[line][:column]]


@pytest.mark.parametrize(
    ("line", "character", "position"), [(0, 9, 2), (1, 0, 4), (1, 2, 5), (1, 99, 5), (2, 1, 7), (3, 0, 8), (3, 1, 8)]
)
def test_a_character_beyond_the_line_means_its_end(line: int, character: int, position: int) -> None:
    assert from_line("ab\r\n👍\rc\n", line, character) == position


@pytest.mark.parametrize(("line", "character", "says"), [(2, 0, "no line 2"), (-1, 0, "no line -1"), (1, 1, "between")])
def test_a_place_that_is_not_there_is_refused(line: int, character: int, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        from_line("ab\n👍", line, character)


# Changes


def drawn_changes(data: st.DataObject, text: str) -> list[Change]:
    """Draw changes, each within the text that those before it have left: what an editor may send."""
    now, changes = units(text), list[Change]()
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(now)))
        end = data.draw(st.integers(start, len(now)))
        new = data.draw(BROKEN)
        now[start:end] = units(new)
        changes.append((start, end, new))
    return changes


@given(TEXT, st.data())
def test_changes_make_the_text_that_the_editor_has(text: str, data: st.DataObject) -> None:
    changes = drawn_changes(data, text)
    expected = units(text)
    for start, end, new in changes:
        expected[start:end] = units(new)
    assert changed(text, changes) == joined(expected)


@given(TEXT, st.data())
def test_changes_that_count_in_the_old_text_are_given_last_first(text: str, data: st.DataObject) -> None:
    ends = sorted(data.draw(st.lists(st.integers(0, len(units(text))), max_size=6)))
    changes = [(start, end, data.draw(TEXT)) for start, end in zip(ends[::2], ends[1::2], strict=False)]
    expected, last = list[int](), 0
    for start, end, new in changes:
        expected += [*units(text)[last:start], *units(new)]
        last = end
    assert changed(text, reversed(changes)) == joined(expected + units(text)[last:])


def test_halves_of_a_pair_may_come_one_by_one() -> None:
    assert changed("ab", [(1, 1, HIGH), (2, 2, LOW)]) == "a👍b"
    assert changed("a👍b", [(2, 3, LOW), (2, 3, LOW)]) == "a👍b"


@pytest.mark.parametrize(
    "change", [(0, 4, ""), (2, 1, ""), (-1, 0, ""), (0, 0), (0, 0, None), ("0", 0, "x"), None, "abc", (0, 0, "", 1)]
)
def test_what_is_no_change_of_the_text_is_refused(change: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        changed("abc", [(0, 0, ""), change])
    assert caught.value.session_continues


@pytest.mark.parametrize("changes", [None, 3])
def test_what_is_no_list_of_changes_is_refused(changes: Any) -> None:
    with pytest.raises(InvalidRequest, match="changes must be a list, not"):
        changed("abc", changes)


# A session


async def sent(*edits: list[Change], draft: str = "", fails: type[Exception] | None = None) -> tuple[str, list[object]]:
    """Carry out lists of changes in a session; return its draft then, and what was sent."""
    seen: list[object] = []

    async def script(wire: Wire) -> None:
        await wire.open()
        seen.extend(said(event) for event in await drain(wire))

    async with connected(script) as client, client.session(draft=draft, auto_flush=False) as session:
        for changes in edits:
            await edit(session, changes, fails)
        return session.draft, seen


async def edit(session: Session, changes: list[Change], fails: type[Exception] | None) -> None:
    if fails is None:
        await session.edit_utf16(changes)
    else:
        with pytest.raises(fails):
            await session.edit_utf16(changes)


async def test_a_list_of_changes_is_one_edit_in_code_points() -> None:
    draft, seen = await sent([(3, 3, "x"), (0, 0, "👍")], [], draft="a👍b")
    assert draft == "👍a👍xb"
    assert seen == [(0, 2, "👍a👍x"), "end"]


async def test_a_list_that_cannot_be_carried_out_changes_nothing() -> None:
    assert await sent([(0, 0, "x"), (9, 9, "y")], draft="abc", fails=InvalidRequest) == ("abc", ["end"])
    assert await sent([(0, 0, "x"), (0, 0, HIGH)], draft="abc", fails=InvalidText) == ("abc", ["end"])


# User-perceived characters


@given(TEXT)
def test_clusters_are_the_whole_text(text: str) -> None:
    assert "".join(clusters(text)) == text


@pytest.mark.parametrize("cluster", [piece for piece in PIECES if piece != "क्षि"])
def test_what_a_user_calls_a_character_is_one_cluster(cluster: str) -> None:
    assert clusters(f"a{cluster}b") == ["a", cluster, "b"]


def test_clusters_needs_a_package_and_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "regex", None)
    with pytest.raises(ImportError, match="extra 'graphemes'"):
        clusters("a")
