"""Percentiles and how far they can be trusted."""

import pytest
from forefill_bench.report.spread import Sample, percentile


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 10), (0.25, 20), (0.5, 30), (0.6, 34), (0.95, 48), (0.99, 49.6), (1, 50)]
)
def test_a_percentile_lies_between_its_two_nearest_values(share: float, expected: float) -> None:
    assert percentile([10, 20, 30, 40, 50], share) == pytest.approx(expected)


def test_a_single_value_is_every_percentile() -> None:
    assert percentile([7.0], 0.99) == 7.0


def test_the_figures_do_not_depend_on_the_order_of_the_values() -> None:
    assert Sample.single([3, 1, 2], 1).figure("p50") == Sample.single([1, 2, 3], 1).figure("p50") == 2


def test_an_interval_holds_its_figure_and_a_seed_repeats_it() -> None:
    values = [float(value**2 % 97) for value in range(60)]
    sample = Sample.single(values, seed=5)
    low, high = sample.interval("p50")
    assert low < sample.figure("p50") < high
    assert Sample.single(values, seed=5).interval("p50") == (low, high)
    assert Sample.single(values, seed=6).interval("mean") != sample.interval("mean")


def test_equal_values_have_no_spread() -> None:
    assert Sample.single([4.0] * 9, 1).interval("p95") == (4.0, 4.0)


def test_more_values_make_a_narrower_interval() -> None:
    few, many = (Sample.single([float(value % 50) for value in range(number)], 1) for number in (50, 5000))
    width = [high - low for low, high in (few.interval("mean"), many.interval("mean"))]
    assert width[1] < width[0] / 3


def test_values_of_one_group_are_drawn_together() -> None:
    grouped, single = Sample([[0.0] * 50, [1.0] * 50], 1), Sample.single([0.0] * 50 + [1.0] * 50, 1)
    assert grouped.interval("mean") == (0.0, 1.0), "one group alone may be drawn twice"
    assert single.interval("mean")[0] > 0.3


def test_a_ratio_has_an_interval_around_it() -> None:
    slow, fast = (Sample.single([scale * (10 + value % 7) for value in range(70)], 3) for scale in (20.0, 1.0))
    value, (low, high) = slow.ratio(fast, "p50")
    assert value == pytest.approx(20)
    assert low <= value <= high


def test_a_ratio_to_nothing_is_infinite() -> None:
    assert Sample.single([1.0], 1).ratio(Sample.single([0.0], 1), "p50")[0] == float("inf")


def test_empty_groups_count_for_nothing() -> None:
    assert Sample([[], [2.0], []], 1).as_json()["n"] == 1


def test_for_programs_every_figure_stands_beside_its_interval() -> None:
    told = Sample.single([1.0, 2.0, 3.0], 1).as_json()
    assert (told["n"], told["p50"], told["max"], told["mean"]) == (3, 2.0, 3.0, 2.0)
    for figure in ("p50", "p95", "p99", "mean"):
        low, high = told[f"{figure}_interval"]
        assert low <= told[figure] <= high
