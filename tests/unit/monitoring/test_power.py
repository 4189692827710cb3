"""How many rows a shift takes, against scipy and against draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from perennial.drift import population_stability_index
from perennial.monitoring.cells import comparable
from perennial.monitoring.distances import distribution_chance
from perennial.monitoring.power import power, rows_needed


def test_the_power_is_that_of_noncentral_chi_squared() -> None:
    variance = 1 / 800 + 1 / 60_000
    expected = stats.ncx2.sf(stats.chi2.isf(1e-3, 9), 9, 0.05 / variance)
    assert power(0.05, 1e-3, 10, 800, 60_000) == pytest.approx(expected)


def test_a_planted_shift_is_found_within_the_rows_that_it_is_said_to_take() -> None:
    draw, level = np.random.default_rng(12), 1e-4
    shares = np.full(10, 0.1)
    moved = shares + np.array([0.025, -0.025] * 5)
    effect = population_stability_index((shares * 1e9).astype(int).tolist(), (moved * 1e9).astype(int).tolist())
    rows = rows_needed(effect, level, 0.9, 10, 60_000)
    assert rows is not None
    pairs = zip(draw.multinomial(60_000, shares, 1000), draw.multinomial(rows, moved, 1000), strict=True)
    found = np.mean([distribution_chance(*comparable(one, other)) <= level for one, other in pairs])
    assert found == pytest.approx(0.9, abs=0.04)


def test_twice_the_design_effect_takes_twice_the_rows() -> None:
    once, twice = (rows_needed(0.1, 1e-3, 0.8, 10, 1e12, effect) for effect in (1, 2))
    assert once is not None
    assert twice == pytest.approx(2 * once, abs=2)


def test_no_window_is_long_enough_where_the_training_rows_are_too_few() -> None:
    assert rows_needed(0.01, 1e-4, 0.9, 10, 500) is None
