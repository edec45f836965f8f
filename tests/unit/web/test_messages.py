"""What a browser may say: the messages of SOCKET.md, and nothing else."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import forefill_web
import pytest
from forefill_web import messages as said
from forefill_web.messages import KINDS, Malformed, parse
from hypothesis import given
from hypothesis import strategies as st

EXAMPLES: dict[str, tuple[dict[str, Any], said.Message]] = {
    "open": (
        {"protocol": 1, "token": "t", "messages": [{"role": "user", "content": "Hi"}], "draft": "d"},
        said.Open(1, "t", (said.Said("user", "Hi"),), "d"),
    ),
    "edit": (
        {"start": 1, "end": 2, "text": "é", "length": 3, "composing": True},
        said.Edit(1, 2, "é", 3, composing=True),
    ),
    "draft": ({"text": "👩‍👩‍👧", "composing": False}, said.Draft("👩‍👩‍👧", composing=False)),
    "hint": ({"likely": True}, said.Hint(likely=True)),
    "submit": ({"turn": 1, "text": "Hi"}, said.Submit(1, "Hi")),
    "regenerate": ({"turn": 2}, said.Regenerate(2)),
    "rewrite": (
        {"keep": 0, "messages": [{"role": "assistant", "content": ""}]},
        said.Rewrite(0, (said.Said("assistant", ""),)),
    ),
    "cancel": ({"turn": 1, "keep_text": False}, said.Cancel(1, keep_text=False)),
    "twin": ({"turn": 1}, said.Twin(1)),
    "end": ({}, said.End()),
}
FIELDS = [(kind, name) for kind, (fields, _) in EXAMPLES.items() for name in fields]
NO_TEXT: list[Any] = [None, True, 0, 1.5, [], ["x"], {}, "\ud800", "a\udc00b"]
NO_NUMBER: list[Any] = [None, True, False, -1, 2**31, 10**30, 1.0, 1e308, "1", [], {}]
NO_FLAG: list[Any] = [None, 0, 1, "true", "", [], {}]
NO_MESSAGES: list[Any] = [
    None, True, 0, "x", {}, [[]], [None], [{"role": "system", "content": ""}], [{"role": "user"}], [{"content": ""}],
    [{"role": "user", "content": None}], [{"role": ["user"], "content": ""}], [{"role": "user", "content": "\ud800"}],
]  # fmt: skip
WRONG_VALUES: dict[str, list[Any]] = {
    "protocol": [*NO_NUMBER, 0, 2],
    "token": [*NO_TEXT, "x" * 129],
    "messages": NO_MESSAGES,
    "draft": NO_TEXT,
    "text": NO_TEXT,
    "start": NO_NUMBER,
    "end": NO_NUMBER,
    "length": NO_NUMBER,
    "keep": NO_NUMBER,
    "turn": [*NO_NUMBER, 0],
    "composing": NO_FLAG,
    "likely": NO_FLAG,
    "keep_text": NO_FLAG,
}


def text(kind: str, fields: dict[str, Any]) -> str:
    return json.dumps({"type": kind, **fields})


def test_the_table_is_that_of_the_document() -> None:
    document = (Path(forefill_web.__file__).parent / "SOCKET.md").read_text()
    browser = document.partition("## From the browser")[2].partition("## From the bridge")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", browser, re.MULTILINE)
    documented = {kind: set(re.findall(r"`(\w+)`", re.sub(r"\{.*?\}", "", fields))) for kind, fields in rows}
    assert {kind: set(fields) for kind, (_, fields) in KINDS.items()} == documented


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_becomes_a_value(kind: str) -> None:
    fields, value = EXAMPLES[kind]
    assert parse(text(kind, fields)) == value
    assert parse(text(kind, {**fields, "new": {"in": "another version"}})) == value


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_a_field_is_required_but_for_the_token(kind: str, name: str) -> None:
    fields = {key: value for key, value in EXAMPLES[kind][0].items() if key != name}
    if name == "token":
        assert parse(text(kind, fields)) == said.Open(1, "", (said.Said("user", "Hi"),), "d")
    else:
        with pytest.raises(Malformed, match=name):
            parse(text(kind, fields))


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_a_value_of_another_kind_is_refused_by_the_name_of_its_field(kind: str, name: str) -> None:
    for wrong in WRONG_VALUES[name]:
        with pytest.raises(Malformed, match=f"^`{name}` of `{kind}` must be "):
            parse(text(kind, {**EXAMPLES[kind][0], name: wrong}))


def test_a_refusal_does_not_quote_what_was_typed() -> None:
    for wrong in (
        '{"type":"submit","turn":"zyzzyva","text":""}',
        '{"type":"zyzzyva"}',
        '{"zyzzyva":1,"zyzzyva":2}',
        "zyzzyva",
    ):
        with pytest.raises(Malformed) as refused:
            parse(wrong)
        assert "zyzzyva" not in str(refused.value)
        assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    "wrong",
    [
        "", "nul", "[]", "null", "7", '"open"', "{}", '{"type":null}', '{"type":["end"]}', '{"type":"END"}',
        '{"type":"end"', '{"type":"end","type":"end"}', '{"type":"hint","likely":NaN}',
        '{"type":"hint","likely":Infinity}',
        '{"type":"submit","text":"","turn":' + "9" * 10_000 + "}", "[" * 200_000, '{"a":' * 200_000,
        '{"type":"submit","turn":1e0,"text":""}', '{"type":"submit","turn":1,"text":"\\ud83d"}',
    ],
    ids=lambda value: value[:24] or "nothing",
)  # fmt: skip
def test_what_is_no_message_is_refused(wrong: str) -> None:
    with pytest.raises(Malformed):
        parse(wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = sorted({name for _, fields in KINDS.values() for name in fields})
MESSAGES = st.builds(
    lambda kind, fields: {"type": kind, **fields},
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6),
)


@given(st.one_of(st.text(), JSON.map(json.dumps), MESSAGES.map(json.dumps)))
def test_whatever_comes_is_a_message_or_malformed(anything: str) -> None:
    message: object = None
    with suppress(Malformed):
        message = parse(anything)
    assert message is None or type(message) in {kind for kind, _ in KINDS.values()}
