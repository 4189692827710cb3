"""Tests of shares against scipy's exact and asymptotic ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from perennial.monitoring.design_effects import DesignEffect
from perennial.monitoring.proportions import beyond_chance, least_count, share_chance


def test_a_rare_share_has_the_chance_of_the_conditional_binomial() -> None:
    exact = stats.binomtest(9, 21, 500 / 20_500, alternative="greater").pvalue
    assert share_chance(9, 500, 12, 20_000) == pytest.approx(2 * exact)


def test_what_no_training_row_had_is_no_chance_once_it_comes_often_enough() -> None:
    # (n / (n + N)) ** k, twice.
    assert share_chance(3, 500, 0, 9_500) == pytest.approx(2 * 0.05**3)
    assert share_chance(0, 500, 0, 9_500) == 1


def test_a_frequent_share_has_the_chance_of_the_test_with_continuity() -> None:
    table = np.array([[260, 240], [9_000, 11_000]])
    assert share_chance(260, 500, 9_000, 20_000) == pytest.approx(stats.chi2_contingency(table).pvalue, rel=0.02)


def test_a_share_and_what_lacks_to_one_have_the_same_chance() -> None:
    assert share_chance(995, 1000, 49_000, 50_000) == share_chance(5, 1000, 1000, 50_000)


@pytest.mark.parametrize("share", [0.0005, 0.02, 0.3, 0.97])
@pytest.mark.parametrize("rows", [200, 100_000])
def test_a_stated_rate_is_not_exceeded(share: float, rows: int) -> None:
    draw = np.random.default_rng(int(rows * share))
    pairs = zip(draw.binomial(60_000, share, 3000).tolist(), draw.binomial(rows, share, 3000).tolist(), strict=True)
    alarms = sum(share_chance(here, rows, there, 60_000) <= 0.01 for there, here in pairs)
    assert alarms <= stats.binom.isf(1e-3, 3000, 0.01)


def test_rows_count_by_their_design_effect() -> None:
    effects = (DesignEffect(rows=500, blocks=100, effect=4, freedom=1),)
    assert share_chance(40, 500, 400, 20_000, effects) == pytest.approx(share_chance(10, 125, 100, 5_000), rel=1e-9)


def test_exceedances_have_the_chance_that_gumbel_gives_whatever_the_distribution() -> None:
    # All of 3 above all of 7: one in 10 choose 3; twice for two sides.
    assert beyond_chance(0, 3, 3, 7) == pytest.approx(2 / 120)
    assert beyond_chance(2, 0, 100, 900) == pytest.approx(2 * (100 / 1000) * (99 / 999))
    assert beyond_chance(0, 0, 100, 900) == 1


def test_the_least_count_is_the_first_that_is_no_chance() -> None:
    def chance(count: float) -> float:
        return beyond_chance(0, count, 1000, 9000)

    least = least_count(chance, 1e-4, 0, 1000)
    assert chance(least) <= 1e-4 < chance(least - 0.5)
    assert least_count(lambda _: 1.0, 0.01, 0, 50) == 50
