"""The line that says why answers differ."""

from forefill_bench.report.differences import Difference, differences, differences_line
from forefill_client.terminal import columns

SAME = {"cold": "SELECT name FROM wards", "static": "SELECT name FROM wards", "typed": "SELECT name FROM wards"}
TYPED = SAME | {"typed": "SELECT floor FROM wards"}
BOTH = {"cold": "SELECT a, b FROM c", "static": "SELECT a, b", "typed": "SELECT a, c FROM c"}


def test_an_arm_differs_after_the_words_that_it_shares_with_the_first() -> None:
    assert differences(SAME) == []
    assert differences(TYPED) == [Difference("typed", 1)]
    assert differences(BOTH) == [Difference("static", 3), Difference("typed", 2)]


def test_a_difference_in_spaces_alone_is_one() -> None:
    assert differences({"cold": "a b", "typed": "a\nb"}) == [Difference("typed", 2)]


def test_there_is_no_line_if_all_answers_are_the_same() -> None:
    assert differences_line([SAME, SAME]) == ""
    assert differences_line([]) == ""


def test_the_line_says_which_arms_differ_how_often_and_where() -> None:
    said = " ".join(differences_line([SAME, TYPED, BOTH]).split())
    assert said.startswith(
        "NO: in 2 of 3 queries typed and static gave another answer than cold, after 1, 2 and 3 equal words."
    )
    assert "almost equally likely" in said
    assert "Plain vLLM does the same" in said
    assert "tests/benchmarks/rounding.md" in said


def test_it_fits_into_100_columns() -> None:
    lines = differences_line([BOTH] * 5).splitlines()
    assert len(lines) <= 4
    assert max(columns(line) for line in lines) <= 100
