"""Chances of counts and bounds of quantiles, held against exact counts and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from perennial.steps.delivering.bounds import chance_of_as_many, chance_of_more, quantile_bounds


def test_the_lady_who_tells_all_cups_apart_was_lucky_once_in_seventy_times() -> None:
    # Fisher's tea: 4 of 4 right against 0 of 4; 3 of 4 against 1 of 4 is (16 + 1) of 70.
    assert chance_of_more(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert chance_of_more(3, 4, 1, 4) == pytest.approx(17 / 70)


def test_heads_all_the_way_are_half_as_likely_with_each_throw() -> None:
    assert chance_of_as_many(10, 10, 0.5) == pytest.approx(2**-10)
    assert chance_of_as_many(0, 10, 0.5) == pytest.approx(1)
    assert chance_of_as_many(9, 10, 0.5) == pytest.approx(11 * 2**-10)


@pytest.mark.parametrize(("hits", "number"), [(0, 3), (7, 50), (120, 10_000), (50, 50)])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.3])
def test_the_chance_of_as_many_is_scipys(hits: int, number: int, share: float) -> None:
    assert chance_of_as_many(hits, number, share) == pytest.approx(stats.binom.sf(hits - 1, number, share), rel=1e-8)


@pytest.mark.parametrize(
    "counts", [(5, 56, 0, 29), (0, 10, 3, 10), (8, 10, 40, 50), (200, 20_000, 150, 20_000), (3, 3, 997, 1000)], ids=str
)
def test_the_chance_of_more_is_scipys(counts: tuple[int, int, int, int]) -> None:
    hits, number, others, other_number = counts
    table = [[hits, others], [number - hits, other_number - others]]
    assert chance_of_more(*counts) == pytest.approx(stats.fisher_exact(table, "greater").pvalue, rel=1e-7)


def test_without_trials_nothing_is_unlikely() -> None:
    assert chance_of_as_many(0, 0, 0.01) == chance_of_more(0, 0, 5, 10) == chance_of_more(5, 10, 0, 0) == 1.0
    assert (chance_of_as_many(0, 5, 0.0), chance_of_as_many(1, 5, 0.0)) == (1.0, 0.0)


def test_a_quantile_is_bounded_above_from_the_number_of_values_that_wilks_found() -> None:
    # S. S. Wilks (1941): the largest of 59 values is above 95 % of the distribution with a probability of 95 %.
    rising = np.arange(59, dtype=np.float64)
    assert quantile_bounds(rising, 0.95, 0.95)[1] == 58.0
    assert quantile_bounds(rising[:58], 0.95, 0.95)[1] == math.inf


def test_a_median_of_ten_lies_between_the_second_and_the_ninth() -> None:
    # The sign test: P(at most 1 of 10 heads) = 11/1024 = 1.07 %, P(at most 2) = 56/1024 = 5.5 %.
    shuffled = np.array([7, 3, 10, 1, 5, 9, 2, 8, 4, 6], dtype=np.float64)
    assert quantile_bounds(shuffled, 0.5, 0.98) == (2.0, 9.0)
    assert quantile_bounds(shuffled, 0.5, 0.94) == (3.0, 8.0)


def test_of_no_values_a_quantile_may_be_anything() -> None:
    assert quantile_bounds(np.empty(0), 0.95, 0.999) == (-math.inf, math.inf)


def test_the_bounds_of_a_quantile_cover_it_as_often_as_they_say_whatever_the_distribution() -> None:
    rng = np.random.default_rng(7)
    true = -math.log(0.05)  # of the exponential distribution
    bounds = [quantile_bounds(rng.exponential(size=300), 0.95, 0.95) for _ in range(2000)]
    above = np.mean([low > true for low, _ in bounds])
    below = np.mean([high < true for _, high in bounds])
    # At most 5 %, plus three standard errors of 2,000 draws.
    assert max(above, below) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)
    assert min(above, below) > 0.01
