"""Design effects: what windows of consecutive rows vary by beyond chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from perennial.monitoring.design_effects import (
    DesignEffect,
    block_counts,
    effect_at,
    effect_of_counts,
    effect_of_squares,
    lengths,
    variance_factor,
)


def test_blocks_are_counted_in_the_order_of_the_rows() -> None:
    assert block_counts(np.array([0, 1, 1, 2, 2, 2, 0]), 3, 3).tolist() == [[1, 2, 0], [0, 0, 3]]


def test_the_longest_blocks_are_a_tenth_of_the_rows_and_few_rows_have_none() -> None:
    assert lengths(60_000) == (200, 800, 3200, 6000)
    assert lengths(2_000) == (200,)
    assert lengths(1_999) == ()


def test_the_effect_is_that_of_scipys_test_of_homogeneity() -> None:
    counts = np.random.default_rng(3).multinomial(300, [0.2, 0.3, 0.5], 25)
    counts[:12, 0] += 40
    found = effect_of_counts(counts)
    statistic = stats.chi2_contingency(counts, correction=False).statistic  # over 24 * 2 degrees of freedom
    assert found is not None
    assert found.effect == pytest.approx(statistic / 48)
    assert found.blocks == 25


def test_independent_rows_have_an_effect_of_one() -> None:
    counts = np.random.default_rng(4).multinomial(200, np.full(10, 0.1), 2000)
    found = effect_of_counts(counts)
    assert found is not None
    assert found.effect == pytest.approx(1, abs=0.03)  # its standard error is sqrt(2 / 9 / 2000) = 0.011
    assert found.freedom == pytest.approx(9, rel=0.15)


def test_rows_that_come_in_runs_of_five_have_an_effect_of_five() -> None:
    draw = np.random.default_rng(5)
    cells = np.repeat(draw.integers(0, 4, 40_000), 5)
    found = effect_of_counts(block_counts(cells, 4, 1000))
    assert found is not None
    assert found.effect == pytest.approx(5, rel=0.15)


def test_a_wave_in_one_direction_leaves_one_degree_of_freedom() -> None:
    wave = 500 * np.random.default_rng(6).standard_normal(200)
    counts = np.stack([2500 + wave, 2500 - wave, np.full(200, 2500.0), np.full(200, 2500.0)], axis=1).astype(np.int64)
    found = effect_of_counts(counts)
    assert found is not None
    assert found.effect > 20
    assert found.freedom == pytest.approx(1, abs=0.3)


def test_too_few_blocks_or_cells_say_nothing() -> None:
    assert effect_of_counts(np.full((9, 3), 50)) is None
    assert effect_of_counts(np.array([[50, 0]] * 20)) is None
    assert effect_of_squares(np.ones(9), 1.0, 1.0, 10) is None


def test_a_distances_effect_is_what_its_mean_square_is_beyond_the_expected_one() -> None:
    found = effect_of_squares(np.full(20, 3.8), 2.0, 1.6, 500)
    assert found is not None
    assert found.effect == pytest.approx(1 + (4 - 2) / 1.6)


def test_a_window_longer_than_any_block_is_taken_to_vary_as_much_as_these() -> None:
    measured = (
        DesignEffect(rows=100, blocks=50, effect=2, freedom=5),
        DesignEffect(rows=1000, blocks=20, effect=4, freedom=5),
    )
    assert effect_at(measured, 1000) == (4, measured[1])
    assert effect_at(measured, 50)[0] == pytest.approx(1 + 49 / 99)
    # phi / n tends to the correlation of the longest blocks, 3 / 999, and never below.
    assert effect_at(measured, 1e9)[0] / 1e9 == pytest.approx(3 / 999, rel=1e-5)
    assert variance_factor((), 200, 800) == pytest.approx(1 / 200 + 1 / 800)
    assert variance_factor(measured, 1000, 8000) == pytest.approx(4 / 1000 + 4 / 8000)
