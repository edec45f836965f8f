"""Where the confirmed text of a draft ends, script by script, and what may be under composition."""

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from forefill_service.session.boundary import COMPOSED, RUN, Client, confirmable, last_boundary, settled
from forefill_service.session.draft import edited
from forefill_service.session.events import CharAdd, CharDelete, Edit, Replace
from hypothesis import given
from hypothesis import strategies as st

from tests.support.texts import HEX, MYANMAR, THAI

TEXTS = st.text(alphabet="ab '.9_字かカㄅ한한ไทយ😀é", max_size=50) | st.text(max_size=20)

# --- word ends


@pytest.mark.parametrize(
    ("text", "boundary"),
    [
        ("", 0),
        ("Sho", 0),
        ("Show ", 5),
        ("Show me", 5),
        ("Show me,", 8),
        ("Show\nme", 5),
        ("where x = 'a", 11),
        ("car_makers", 0),
        ("見せて", 3),
        ("ok 👍", 4),
        ("naïve", 0),
    ],
)
def test_words_end_after_space_punctuation_and_wide_characters(text: str, boundary: int) -> None:
    assert last_boundary(text) == boundary


WITHOUT_SPACES = {
    "Thai": THAI[0],
    "Lao": "ສະແດງຄົນເຈັບທັງໝົດ",
    "Khmer": "បង្ហាញអ្នកជំងឺទាំងអស់",
    "Myanmar": MYANMAR,
    "Tai Le": "ᥖᥭᥰᥖᥬᥲ",
    "New Tai Lue": "ᦅᦱᧄ",
    "Tai Tham": "ᨴᩱ᩠ᨿ",
    "Tai Viet": "ꪼꪕ",
    "Javanese": "ꦧꦱꦗꦮ",
    "Balinese": "ᬩᬲᬩᬮᬶ",
    "Chinese": "显示所有病人",
    "Japanese": "患者を表示",
}


@pytest.mark.parametrize("script", WITHOUT_SPACES)
def test_in_scripts_without_spaces_a_word_may_end_after_every_code_point(script: str) -> None:
    text = WITHOUT_SPACES[script]
    assert [last_boundary(text[:end]) for end in range(1, len(text) + 1)] == list(range(1, len(text) + 1))


@pytest.mark.parametrize("word", ["환자를", "모든", "patients", "больница", "τράπεζα", "अस्पताल", "مستشفى", "ሆስፒታል"])
def test_in_scripts_with_spaces_no_word_ends_before_the_space(word: str) -> None:
    assert last_boundary(word) == 0
    assert last_boundary(f"{word} ") == len(word) + 1


@pytest.mark.parametrize("length", [511, 512, 513, 1024, 70_000])
def test_the_last_boundary_is_found_however_long_the_word_behind_it(length: int) -> None:
    assert last_boundary("a b" + "c" * length) == 2
    assert last_boundary("c" * length) == 0
    assert last_boundary("c" * length + " ") == length + 1


# --- unbroken runs


@pytest.mark.parametrize(
    ("text", "confirmed"),
    [
        ("", ""),
        ("Show", ""),
        ("Show me al", "Show me "),
        ("naïve", "n"),
        ("car_makers", "car_ma"),
        ("see 한국어는", "see "),
        ("see 한국어입니다", "see 한국"),
        (HEX, HEX[:-RUN]),
        (f"{HEX} ", f"{HEX} "),
        ("eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1"),
    ],
)
def test_of_an_unbroken_run_all_but_the_last_code_points_are_confirmed(text: str, confirmed: str) -> None:
    assert text[: confirmable(text)] == confirmed


# --- what may be under composition

UNKNOWN, COMMITS, COMPOSES = Client


@pytest.mark.parametrize(
    ("client", "text", "left"),
    [
        (UNKNOWN, "せんしゅう", "せんしゅう"),
        (UNKNOWN, "先週に", "に"),
        (UNKNOWN, "先週カルテ", "カルテ"),
        (UNKNOWN, "先週に入院", ""),
        (UNKNOWN, "先週に。", ""),
        (UNKNOWN, "ㄑㄧㄥˇㄒ", "ㄒ"),
        (UNKNOWN, "请xianshi", ""),
        (UNKNOWN, "か" * 100, "か" * COMPOSED),
        (COMMITS, "先週に", ""),
        (COMMITS, "せんしゅう", ""),
        (COMPOSES, "先週に", "に"),
        (COMPOSES, "先週にn", "にn"),
        (COMPOSES, "请xian'shi", "xian'shi"),
        (COMPOSES, "请xian shi", "xian shi"),
        (COMPOSES, "请显示", ""),
        (COMPOSES, "显示 3", ""),
        (COMPOSES, "显示。 ", ""),
        (COMPOSES, "显示。 xian ", "xian "),
        (COMPOSES, "显示SQL。", ""),
        (COMPOSES, "x" * 100, "x" * COMPOSED),
    ],
)
def test_sounds_at_the_end_are_left_until_something_follows_them(client: Client, text: str, left: str) -> None:
    assert text[settled(text, client) :] == left
    assert confirmable(text, client) <= settled(text, client)


def test_a_run_of_kana_that_may_be_under_composition_is_not_confirmed_by_its_age() -> None:
    text = "先週じゅんかんきないか"
    assert confirmable(text) == 2
    assert confirmable(text, COMMITS) == len(text)


@pytest.mark.parametrize(
    ("before", "draft", "edit", "after"),
    [
        (UNKNOWN, "せんしゅう", Replace(0, 5, "先週"), COMPOSES),
        (UNKNOWN, "たべます", Replace(0, 1, "食"), COMPOSES),
        (UNKNOWN, "s", Replace(0, 1, "せ"), COMPOSES),
        (UNKNOWN, "请xian'shi", Replace(1, 9, "显示"), COMPOSES),
        (UNKNOWN, "ㄑㄧㄥ", Replace(0, 3, "請"), COMPOSES),
        (UNKNOWN, "namaste", Replace(0, 7, "नमस्ते"), COMPOSES),
        (COMMITS, "先週せ", Replace(2, 3, "施"), COMPOSES),
        (COMPOSES, "先週", CharAdd("入院"), COMPOSES),
        (UNKNOWN, "先週", CharAdd("に"), UNKNOWN),
        (UNKNOWN, "先週", CharAdd("入院した"), COMMITS),
        (UNKNOWN, "先週", Replace(2, 2, "入院した"), COMMITS),
        (UNKNOWN, "", CharAdd("先週"), UNKNOWN),  # a paste, or a draft sent again
        (UNKNOWN, "先週に", Replace(0, 0, "昨年、"), UNKNOWN),
        (UNKNOWN, "show", Replace(0, 4, "Show me the"), UNKNOWN),
        (UNKNOWN, "Show me the patience", Replace(16, 20, "ents of ward three."), UNKNOWN),
        (UNKNOWN, "tieng", Replace(2, 3, "ế"), UNKNOWN),
        (UNKNOWN, "하", Replace(0, 1, "한"), UNKNOWN),
        (UNKNOWN, "smile", Replace(0, 5, "😀"), UNKNOWN),
        (UNKNOWN, "x" * (COMPOSED + 1), Replace(0, COMPOSED + 1, "先週"), UNKNOWN),
        (UNKNOWN, "せんしゅう", Replace(0, 5, ""), UNKNOWN),
        (UNKNOWN, "sen", Replace(0, 3, "x" * COMPOSED + "先週"), UNKNOWN),
        (UNKNOWN, "I said ", CharAdd("x" * COMPOSED + "先週"), UNKNOWN),
        (UNKNOWN, "せんしゅう", CharDelete(2), UNKNOWN),
    ],
)
def test_what_a_client_shows_of_input_methods(before: Client, draft: str, edit: Edit, after: Client) -> None:
    edited(draft, edit)
    assert before.after(draft, edit) is after


@given(text=TEXTS, client=st.sampled_from(Client))
def test_confirmed_text_reaches_the_last_word_end_and_the_run_unless_it_may_be_under_composition(
    text: str, client: Client
) -> None:
    end = confirmable(text, client)
    assert 0 <= end <= len(text)
    assert end == settled(text, client) or end >= max(last_boundary(text), len(text) - RUN)
    assert len(text) - end <= max(RUN, COMPOSED)


@given(st.lists(st.tuples(st.sampled_from(["add", "replace"]), TEXTS, st.integers(0, 9))))
def test_a_client_that_has_composed_is_known_for_good(steps: list[tuple[Any, ...]]) -> None:
    client, draft, seen = Client.UNKNOWN, "", False
    for kind, text, back in steps:
        edit: Edit = CharAdd(text) if kind == "add" else Replace(max(0, len(draft) - back), len(draft), text)
        client = client.after(draft, edit)
        draft = edited(draft, edit)[0]
        seen = seen or client is Client.COMPOSES
        assert (client is Client.COMPOSES) == seen


@pytest.mark.parametrize("edit", [CharAdd("ő" * 60_000), Replace(0, 3, "ő" * 60_000), Replace(2, 3, "하" * 60_000)])
def test_no_more_of_a_long_edit_is_looked_at_than_an_input_method_makes(
    edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    for name in ("name", "category", "east_asian_width"):
        monkeypatch.setattr(unicodedata, name, noting(looked_at, getattr(unicodedata, name)))
    client = UNKNOWN.after("šen", edit)
    confirmable(edited("šen", edit)[0], client)
    assert len(looked_at) < 8 * COMPOSED


def noting(looked_at: list[str], look: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that looks at a character, and keeps which."""

    def looking(char: str, *rest: Any) -> Any:
        looked_at.append(char)
        return look(char, *rest)

    return looking
