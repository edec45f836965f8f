"""Tables of plain text."""

import pytest
from forefill_bench.report.rich_tables import fit, table_text
from forefill_client.terminal import columns

ROWS = [["all patients", "1086", "yes"], ["\u6f22\u5b57", "77", ""]]


def test_text_is_left_aligned_and_numbers_right_aligned_under_their_names() -> None:
    assert table_text(["query", "cold", "same"], ROWS, widths=(12, 6, 6)).splitlines() == [
        "query          cold   same",
        "--------------------------",
        "all patients   1086    yes",
        "\u6f22\u5b57             77",
    ]


def test_a_foot_has_a_rule_above_it() -> None:
    lines = table_text(["query", "cold"], [["a", "1"]], foot=["median", "10"]).splitlines()
    assert lines == ["query  cold", "-----------", "a         1", "-----------", "median   10"]


def test_columns_grow_with_their_cells_and_keep_the_gap() -> None:
    table = table_text(["a", "b"], [["1", "1,000,000"]], gap=2, labels=0)
    assert table.splitlines() == ["a          b", "------------", "1  1,000,000"]


def test_what_looks_like_markup_is_shown_as_it_is() -> None:
    assert "[red] :smile: [/red]" in table_text(["query"], [["[red] :smile: [/red]"]])


def test_without_rows_the_head_is_left() -> None:
    assert table_text(["arm", "p50"], []).splitlines()[0] == "arm p50"


@pytest.mark.parametrize(
    ("text", "width", "fitted"),
    [
        ("abc", 3, "abc"),
        ("abcdef", 5, "ab..."),
        ("\u6f22\u5b57\u6f22", 6, "\u6f22\u5b57\u6f22"),
        ("\u6f22" * 4, 6, "\u6f22..."),
    ],
)
def test_texts_are_cut_by_columns(text: str, width: int, fitted: str) -> None:
    assert fit(text, width) == fitted
    assert columns(fitted) <= width
    table = table_text(["", "end"], [[fit(text, width), "x"]], widths=(width, 3))
    assert columns(table.splitlines()[-1]) == width + 4, "a cell is filled to its width"
