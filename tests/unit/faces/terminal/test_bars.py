"""Bars of text."""

import pytest
from forefill_chat.terminal.bars import Wait, bar, bars, gauge, milliseconds

WAITS = [Wait("nothing cached", 800), Wait("conversation cached", 200), Wait("with forefill", 2)]


@pytest.mark.parametrize(
    ("ms", "words"), [(0.04, "0.0 ms"), (9.94, "9.9 ms"), (9.96, "10 ms"), (3397.4, "3,397 ms"), (12_345, "12.3 s")]
)
def test_times_for_people(ms: float, words: str) -> None:
    assert milliseconds(ms) == words


def test_a_bar_is_as_long_as_its_share_in_eighths_of_a_column() -> None:
    assert bar(1, 4) == "████"
    assert bar(0.5, 4) == "██"
    assert bar(0.53125, 4) == "██▏"
    assert bar(0, 4) == "▏"
    assert bar(7, 4) == "████"


def test_a_gauge_is_empty_only_if_nothing_is_there() -> None:
    assert gauge(0, 4) == "░░░░"
    assert gauge(0.01, 4) == "█░░░"
    assert gauge(0.5, 4) == "██░░"
    assert gauge(2, 4) == "████"


def test_the_longest_wait_fills_the_line() -> None:
    assert bars(WAITS, 45) == [
        "nothing cached       ████████████████  800 ms",
        "conversation cached  ████              200 ms",
        "with forefill        ▏                 2.0 ms",
    ]


def test_with_few_columns_a_bar_is_below_its_name() -> None:
    lines = bars(WAITS, 30)
    assert lines[:4] == [
        "nothing cached",
        "██████████████████████  800 ms",
        "conversation cached",
        "█████▌                  200 ms",
    ]
    assert max(map(len, lines)) <= 30


def test_no_waits_and_no_time_make_no_error() -> None:
    assert bars([], 40) == []
    assert bars([Wait("a", 0)], 40) == ["a  ▏" + " " * 28 + "  0.0 ms"]
