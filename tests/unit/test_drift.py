"""The population stability index against figures from outside the code."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perennial.definitions import Monitor
from perennial.drift import population_stability_index as psi


def test_equal_shares_have_an_index_of_zero() -> None:
    assert psi([10, 20, 30], [10, 20, 30]) == 0


def test_the_index_is_that_of_a_hand_calculation() -> None:
    # With half a count in each cell: 1.5 : 1.5 against 1.5 : 5.5, so
    # (3/14 - 1/2) ln(3/7) + (11/14 - 1/2) ln(11/7) = 2/7 * (0.8472979 + 0.4519851)
    assert psi([1, 1], [1, 5]) == pytest.approx(2 / 7 * (0.8472979 + 0.4519851), abs=1e-7)


def test_with_many_rows_the_smoothing_does_not_show() -> None:
    # Siddiqi's formula on the shares themselves: 0.25 ln 2 for (1/2, 1/2) -> (1/4, 3/4), plus 0.25 ln 1.5.
    expected = 0.25 * math.log(2) + 0.25 * math.log(1.5)
    assert psi([500_000, 500_000], [250_000, 750_000]) == pytest.approx(expected, rel=1e-5)


def test_an_empty_cell_on_one_side_gives_a_large_but_finite_index() -> None:
    # 1000.5 : 0.5 against 0.5 : 1000.5, shares over 1001: 2 * (1000 / 1001) * ln(2001)
    assert psi([1000, 0], [0, 1000]) == pytest.approx(2 * 1000 / 1001 * math.log(2001), rel=1e-12)


def test_a_cell_that_is_empty_on_both_sides_changes_nothing() -> None:
    assert psi([10, 0, 20, 0], [20, 0, 10, 0]) == psi([10, 20], [20, 10])


def test_the_index_is_symmetric() -> None:
    assert psi([10, 20, 5], [7, 1, 9]) == pytest.approx(psi([7, 1, 9], [10, 20, 5]))


def test_a_side_without_counts_is_no_evidence() -> None:
    assert psi([0, 0], [1, 2]) == psi([1, 2], [0, 0]) == 0


def test_counts_over_different_cells_are_not_compared() -> None:
    with pytest.raises(ValueError, match="over 2 and 3 cells"):
        psi([1, 2], [1, 2, 3])


def test_without_drift_the_mean_index_is_that_of_the_chi_squared_law() -> None:
    # Yurdakul 2018: PSI / (1/n + 1/m) tends to chi-squared with B - 1 degrees of freedom, whose mean is B - 1.
    generator = np.random.default_rng(1946)
    cells, n, m, draws = 10, 20_000, 1_000, 2_000
    shares = generator.dirichlet(np.full(cells, 10.0))
    baselines = generator.multinomial(n, shares, draws).tolist()
    windows = generator.multinomial(m, shares, draws).tolist()
    mean = np.mean([psi(baseline, window) for baseline, window in zip(baselines, windows, strict=True)])
    # The mean of 2,000 draws of chi-squared(9) has a standard error of 9.5e-2 in 9, so 4 % is 3.8 of them.
    assert mean == pytest.approx((cells - 1) * (1 / n + 1 / m), rel=0.04)


def test_without_drift_a_window_of_a_thousand_rows_stays_far_below_the_default_threshold() -> None:
    generator = np.random.default_rng(11)
    shares = np.full(10, 0.1)
    baselines = generator.multinomial(50_000, shares, 200).tolist()
    windows = generator.multinomial(1_000, shares, 200).tolist()
    assert max(map(psi, baselines, windows)) < Monitor().min_psi / 2
