"""The comparisons of `tests/benchmarks/rounding.py`, without an engine."""

import pytest

from tests.benchmarks.rounding import GROUP, Answer, Compared, Row, compared, groups, table, ways

COLD = Answer((5, 6, 7), ({5: -0.5, 8: -1.0}, {6: -0.7, 9: -0.8}, {7: 0.0}))


def test_an_answer_with_the_same_ids_does_not_differ() -> None:
    assert compared(COLD, COLD) == Compared(None, None, None, True, 0.0)


def test_the_tie_is_taken_at_the_first_token_that_is_another_one() -> None:
    other = Answer((5, 9, 4), ({5: -0.5, 8: -1.25}, {6: -0.8, 9: -0.75}, {4: 0.0}))
    found = compared(COLD, other)
    assert (found.differs_at, found.first_token_same_bits, found.first_token_largest_difference) == (1, False, 0.25)
    assert found.tie_by_cold == pytest.approx(0.1)
    assert found.tie_by_this == pytest.approx(0.05)


def test_a_token_that_is_not_among_the_likely_ones_is_no_measured_tie() -> None:
    other = Answer((5, 3, 4), (COLD.likely[0], {3: -0.5}, {4: 0.0}))
    assert compared(COLD, other).tie_by_cold is None


def test_the_table_counts_answers_that_differ() -> None:
    rows = [Row("static", [Compared(None, None, None, True, 0.0)] * 2 + [Compared(4, 0.125, 0.2, False, 0.25)])]
    assert [cell.strip() for cell in table(rows).splitlines()[1].split("  ") if cell] == [
        *("static", "1 of 3", "4-4", "0.125-0.125", "2 of 3", "0.25")
    ]


def test_only_the_first_way_is_always_asked_alone() -> None:
    assert list(ways([32, 64], 1))[:4] == ["cold", "cold again", "2 at once", "static"]
    at_once = ways([32, 64], 8)
    assert [way.at_once for way in at_once.values()] == [1] + [8] * 5


def test_the_questions_of_a_group_share_a_schema_and_groups_do_not() -> None:
    some = groups(2, [])
    first, second = next(some), next(some)
    assert len(first) == GROUP
    assert len({schema for schema, _ in first}) == 1
    assert first[0][0] != second[0][0]
    assert len({text for _, text in [*first, *second]}) == 2 * GROUP
