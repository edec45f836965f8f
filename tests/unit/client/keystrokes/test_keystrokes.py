"""Events, boundaries, typing models, samples and the public names of forefill_client.keystrokes."""

import ast
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from forefill_client import keystrokes
from forefill_client.keystrokes import (
    CONFIRMATION_BOUNDARIES,
    SAMPLE_QUERIES,
    SAMPLE_SCHEMA,
    EventType,
    FlushRule,
    KeystrokeEvent,
    StreamingSession,
    TypingModel,
    find_last_boundary,
    get_confirmable_text,
    sample_queries_path,
)
from hypothesis import given
from hypothesis import strategies as st

PACKAGE = Path(keystrokes.__file__).parent


def imported_modules(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    absolute = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level and node.module}
    return plain | absolute


def test_public_names() -> None:
    assert keystrokes.__all__ == [
        "COMPOSING",
        "CONFIRMATION_BOUNDARIES",
        "QWERTY",
        "SAMPLE_QUERIES",
        "SAMPLE_SCHEMA",
        "TRANSCRIBING",
        "DraftAnswer",
        "DraftSession",
        "EditedSession",
        "EventConsumer",
        "EventType",
        "FlushRule",
        "HumanTypingModel",
        "InferenceConsumer",
        "InterKeyInterval",
        "KeyRole",
        "Keyboard",
        "KeystrokeEvent",
        "KeystrokeSimulator",
        "LoggingConsumer",
        "StreamingSession",
        "Stroke",
        "StrokeKind",
        "Trace",
        "TraceError",
        "TraceRecorder",
        "TraceWriter",
        "TypedSession",
        "TypingModel",
        "Typist",
        "as_typist_ends",
        "find_last_boundary",
        "get_confirmable_text",
        "paced",
        "parse_trace",
        "plan_typing",
        "read_trace",
        "replay",
        "replay_to_queue",
        "sample_queries_path",
        "simulate_from_file",
        "simulate_typing",
        "stroke_of",
        "transcribing_at",
        "typed_by",
        "write_trace",
    ]
    assert all(hasattr(keystrokes, name) for name in keystrokes.__all__)


def test_keystrokes_needs_the_standard_library_alone() -> None:
    imported = set().union(*(imported_modules(file) for file in PACKAGE.glob("*.py")))
    assert {"asyncio", "random"} <= imported
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    "name",
    [
        *("boundaries.py", "hands.py", "human.py", "keyboard.py", "plan.py", "recorder.py", "strokes.py", "trace.py"),
        *("typing_model.py", "typos.py"),
    ],
)
def test_the_plan_neither_waits_nor_reads_a_clock(name: str) -> None:
    assert not imported_modules(PACKAGE / name) & {"asyncio", "time", "datetime", "threading"}


# Events


def test_event_types_have_the_notebooks_names() -> None:
    assert {event_type.name: event_type.value for event_type in EventType} == {
        "CHAR_ADD": "char_add",
        "CHAR_DELETE": "char_delete",
        "FLUSH": "flush",
        "SUBMIT": "submit",
        "END": "end",
    }


def test_char_add_without_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="CHAR_ADD event needs the character"):
        KeystrokeEvent(EventType.CHAR_ADD)


@pytest.mark.parametrize("event_type", set(EventType) - {EventType.CHAR_ADD})
def test_other_events_need_no_character(event_type: EventType) -> None:
    event = KeystrokeEvent(event_type)
    assert (event.char, event.timestamp_ms, event.current_text, event.confirmed_text) == (None, 0.0, "", "")


def test_event_fields_can_be_given_in_the_notebooks_order() -> None:
    event = KeystrokeEvent(EventType.CHAR_ADD, "w", 12.5, "Show", "Sho")
    assert (event.char, event.timestamp_ms, event.current_text, event.confirmed_text) == ("w", 12.5, "Show", "Sho")


def test_a_session_splits_its_draft_into_confirmed_and_pending() -> None:
    session = StreamingSession("s", current_text="Show me all", confirmed_len=8)
    assert (session.confirmed_text, session.pending_text) == ("Show me ", "all")


def test_a_session_tells_how_long_ago_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([100.0, 101.5])
    monkeypatch.setattr("time.time", lambda: next(seconds))
    session = StreamingSession()
    assert session.start_time_ms == 100_000
    assert session.elapsed_ms() == 1_500


# Boundaries


@pytest.mark.parametrize(
    ("text", "position"),
    [("", 0), ("Show", 0), ("Show me", 5), ("Show me ", 8), ("all, now", 5), ("x\ny", 2), ("(a", 1), ("naïve 🙂 é", 8)],
)
def test_find_last_boundary(text: str, position: int) -> None:
    assert find_last_boundary(text) == position


@pytest.mark.parametrize("boundary", list(" \n\t.,;:!?()\"'"))
def test_each_of_the_notebooks_boundaries_ends_a_word(boundary: str) -> None:
    assert boundary in CONFIRMATION_BOUNDARIES
    assert find_last_boundary(f"ab{boundary}cd") == 3


@pytest.mark.parametrize("char", ["a", "-", "_", "/", "=", "\u00a0", "。"])
def test_nothing_else_ends_a_word(char: str) -> None:
    assert len(CONFIRMATION_BOUNDARIES) == 13
    assert find_last_boundary(f"ab{char}cd") == 0


@pytest.mark.parametrize(
    ("confirmed", "text"), [(0, "Show me "), (5, "me "), (8, ""), (9, "")], ids="confirmed {}".format
)
def test_get_confirmable_text(confirmed: int, text: str) -> None:
    assert get_confirmable_text("Show me al", confirmed) == text


@given(st.text(), st.integers(0, 20))
def test_confirmable_text_ends_at_a_boundary(text: str, confirmed: int) -> None:
    confirmable = get_confirmable_text(text, confirmed)
    assert confirmable == text[confirmed : confirmed + len(confirmable)]
    assert not confirmable or confirmable[-1] in CONFIRMATION_BOUNDARIES
    assert not CONFIRMATION_BOUNDARIES & set(text[confirmed + len(confirmable) :])


# Typing models


def test_a_typing_model_has_the_notebooks_defaults() -> None:
    assert TypingModel() == TypingModel(150, 50, 300, 0.02, 50, FlushRule.DEBOUNCE)


@pytest.mark.parametrize("name", ["mean_delay_ms", "std_delay_ms", "debounce_ms", "pause_after_boundary"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf")])
def test_a_time_out_of_range_is_refused_by_name(name: str, value: float) -> None:
    fields: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"{name} is {value}: give milliseconds"):
        TypingModel(**fields)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_typo_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="give a probability from 0 to 1"):
        TypingModel(typo_rate=rate)


# Samples


def test_the_sample_schema_is_sql_with_its_references_intact() -> None:
    with sqlite3.connect(":memory:") as database:
        database.executescript(SAMPLE_SCHEMA)
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        references = [
            (table, column)
            for name in tables
            for _, _, table, _, column, *_ in database.execute(f"PRAGMA foreign_key_list({name})")
        ]
        columns = {name: {row[1] for row in database.execute(f"PRAGMA table_info({name})")} for name in tables}
    assert len(tables) >= 10
    assert len(references) >= 15
    assert all(column in columns[table] for table, column in references)


def test_there_are_twenty_different_sample_queries() -> None:
    assert len(SAMPLE_QUERIES) == len(set(SAMPLE_QUERIES)) == 20
    assert all(query == query.strip() and not query.startswith("#") for query in SAMPLE_QUERIES)


def test_the_file_of_sample_queries_is_plain_ascii_with_comments() -> None:
    lines = sample_queries_path().read_text(encoding="ascii").splitlines()
    assert lines[0].startswith("#")
    assert [line for line in lines if line and not line.startswith("#")] == list(SAMPLE_QUERIES)
