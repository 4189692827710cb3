"""Distances are those of other libraries, and exceed their thresholds at the stated rate."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from perennial.drift import population_stability_index
from perennial.manifest import Histogram
from perennial.monitoring.cells import comparable, describe
from perennial.monitoring.design_effects import DesignEffect
from perennial.monitoring.distances import (
    Axis,
    distribution_chance,
    jensen_shannon_divergence,
    pearson,
    psi_threshold,
)
from perennial.monitoring.histograms import count_into


def test_the_jensen_shannon_divergence_is_the_square_of_scipys_distance() -> None:
    one, other = np.array([5, 0, 20, 75]), np.array([30, 30, 1, 39])
    assert jensen_shannon_divergence(one, other) == pytest.approx(jensenshannon(one, other) ** 2)
    assert jensen_shannon_divergence(np.array([7, 0]), np.array([0, 9])) == pytest.approx(math.log(2))
    assert jensen_shannon_divergence(np.array([7, 0]), np.array([0, 0])) == 0


def test_for_small_shifts_it_is_an_eighth_of_the_population_stability_index() -> None:
    one, other = np.array([250_000, 250_000, 500_000]), np.array([252_000, 249_000, 499_000])
    assert population_stability_index(one.tolist(), other.tolist()) == pytest.approx(
        8 * jensen_shannon_divergence(one, other), rel=1e-3
    )


def test_pearsons_statistic_and_chance_are_scipys() -> None:
    one, other = np.array([50, 30, 20]), np.array([60, 80, 55])
    expected = stats.chi2_contingency(np.stack([one, other]), correction=False)
    assert pearson(one, other) == pytest.approx(expected.statistic)
    assert distribution_chance(one, other) == pytest.approx(expected.pvalue)


def test_the_threshold_is_the_quantile_of_chi_squared_times_the_variance() -> None:
    assert psi_threshold(1e-4, 10, 200, 50_000) == pytest.approx(stats.chi2.isf(1e-4, 9) * (1 / 200 + 1 / 50_000))
    assert psi_threshold(1e-4, 10, 10_000_000, 50_000) == pytest.approx(stats.chi2.isf(1e-4, 9) / 50_000, rel=0.01)


def test_with_a_design_effect_the_threshold_is_that_of_fishers_law() -> None:
    effects = (DesignEffect(rows=500, blocks=21, effect=3, freedom=4),)
    expected = 9 * stats.f.isf(0.001, 4, 80) * 3 * (1 / 500 + 1 / 20_000)
    assert psi_threshold(0.001, 10, 500, 20_000, effects) == pytest.approx(expected)


@pytest.mark.parametrize("rows", [200, 5_000, 10_000_000])
def test_a_stated_rate_holds_for_few_rows_and_for_millions(rows: int) -> None:
    draw = np.random.default_rng(rows)
    shares, draws, level = np.array([0.1] * 9 + [0.07, 0.03]), 4000, 0.01
    pairs = zip(draw.multinomial(60_000, shares, draws), draw.multinomial(rows, shares, draws), strict=True)
    alarms = sum(distribution_chance(*comparable(one, other)) <= level for one, other in pairs)
    # 40 are expected; more than 60 would be seen once in a thousand times.
    assert 22 <= alarms <= stats.binom.isf(1e-3, draws, level)


def test_the_wasserstein_distance_is_scipys_between_the_outer_quantiles() -> None:
    draw = np.random.default_rng(8)
    reference, moved = draw.random(200_000), draw.random(200_000) * 0.9 + 0.05
    axis = Axis(describe(reference, "number"))
    low, high = 1 / 40, 39 / 40
    expected = stats.wasserstein_distance(np.clip(reference, low, high), np.clip(moved, low, high))
    found = float(axis.distance(count_into(describe(reference, "number").edges, moved)))
    # The unit is the standard deviation of a uniform variable between the outer quantiles.
    assert found == pytest.approx(expected / ((high - low) / math.sqrt(12)), rel=0.03)


def test_a_shift_by_half_a_standard_deviation_measures_about_half() -> None:
    draw = np.random.default_rng(9)
    histogram = describe(draw.standard_normal(100_000), "number")
    found = float(Axis(histogram).distance(count_into(histogram.edges, draw.standard_normal(100_000) + 0.5)))
    assert found == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("shape", ["uniform", "normal", "exponential", "heavy", "two humps"])
def test_the_tail_of_the_distance_is_bounded_from_above_and_not_far_off(shape: str) -> None:
    draw = np.random.default_rng(10)
    p = np.arange(1, 40) / 40
    quantiles = {
        "uniform": p, "normal": stats.norm.ppf(p), "exponential": stats.expon.ppf(p), "heavy": stats.t.ppf(p, 2),
        "two humps": np.where(p < 0.5, p, p + 10),
    }[shape]  # fmt: skip
    edges = (quantiles[0] - 1, *quantiles, quantiles[-1] + 1)
    axis = Axis(Histogram(edges=edges, counts=(0, *[25_000] * 40, 0, 0)))
    rows = 20_000
    counts = np.concatenate(
        [np.zeros((20_000, 1), int), draw.multinomial(rows, np.full(40, 1 / 40), 20_000), np.zeros((20_000, 2), int)],
        axis=1,
    )
    distances = axis.distance(counts)
    assert np.mean(distances**2) == pytest.approx(axis.mean_square / rows, rel=0.05)
    for level in (0.01, 0.001):
        rate = float(np.mean(distances > axis.threshold(level, rows)))
        assert 0.4 * level <= rate <= stats.binom.isf(1e-4, 20_000, level) / 20_000
        assert axis.chance(axis.threshold(level, rows), rows) == pytest.approx(level, rel=1e-6)


def test_two_values_are_no_axis() -> None:
    axis = Axis(describe(np.array([0.0, 1.0] * 50), "number"))
    assert not axis.told
    assert axis.chance(1.0, 100) == 1
    assert axis.threshold(0.01, 100) == math.inf
