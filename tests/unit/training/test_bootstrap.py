"""The block bootstrap: its intervals hold the truth as often as they say, and its figures are the metrics' own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perennial.definitions import Task
from perennial.training.bootstrap import BLOCKS, Resamples, improvement, interval, lower_bound, resamples
from perennial.training.evaluation import metrics
from perennial.training.resampled import intervals, resampled

Array = np.ndarray[Any, Any]
TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")


def times(rows: int, step: str = "s") -> Array:
    return np.datetime64("2019-01-01", "us") + np.arange(rows) * np.timedelta64(1, step)


def autoregressive(rng: np.random.Generator, phi: float, rows: int, series: int) -> Array:
    """Series with mean 0, variance 1 and correlation ``phi`` of neighbours."""
    noise = rng.normal(size=(rows, series)) * np.sqrt(1 - phi**2)
    values = np.empty((rows, series))
    values[0] = rng.normal(size=series)
    for row in range(1, rows):
        values[row] = phi * values[row - 1] + noise[row]
    return values.T


def examples(task: Task, rows: int, seed: int = 0) -> tuple[Array, Array]:
    """Targets, and predictions that know something of them."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        target = rng.normal(size=rows)
        return target, target + rng.normal(size=rows)
    if task == "binary":
        target = (rng.random(rows) < 0.3).astype(float)
        return target, 1 / (1 + np.exp(-(1.5 * target - 1 + rng.normal(size=rows))))
    target = rng.integers(0, 3, rows).astype(float)
    weights = rng.random((rows, 3))
    weights[np.arange(rows), target.astype(int)] += 0.4
    return target, weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("phi", "rows"), [(0.0, 400), (0.0, 4000), (0.7, 4000)])
def test_intervals_of_95_percent_hold_the_truth_about_that_often(phi: float, rows: int) -> None:
    """400 series whose true mean is 0: with a rate of 0.95, 0.91 to 0.98 are within 3.7 standard errors."""
    held = 0
    for seed, series in enumerate(autoregressive(np.random.default_rng(8), phi, rows, 400)):
        draws = resamples(times(rows), seed, number=400)
        ends = interval(resampled("bias", np.zeros(rows), series, "regression", draws))
        assert ends is not None
        held += ends[0] <= 0 <= ends[1]
    assert 0.91 <= held / 400 <= 0.98


def test_as_if_rows_were_independent_intervals_of_dependent_ones_would_fail() -> None:
    """The same series in random order of time: why stretches are drawn. The closed form says that 0.59 hold."""
    rows, held = 4000, 0
    for seed, series in enumerate(autoregressive(np.random.default_rng(8), 0.7, rows, 200)):
        at = np.random.default_rng(seed).permutation(times(rows))
        ends = interval(resampled("bias", np.zeros(rows), series, "regression", resamples(at, seed, number=400)))
        assert ends is not None
        held += ends[0] <= 0 <= ends[1]
    # The variance of the mean is (1 + 0.7) / (1 - 0.7) = 5.67 times that of independent rows: P(|Z| < 1.96 / 2.38).
    assert held / 200 == pytest.approx(0.59, abs=0.12)


def test_the_spread_of_a_mean_is_that_of_the_closed_form() -> None:
    """Var(mean) of an autoregressive series is (1 + phi) / (1 - phi) / n, for n that large."""
    rows, phi = 100_000, 0.5
    (series,) = autoregressive(np.random.default_rng(3), phi, rows, 1)
    found = resampled("bias", np.zeros(rows), series, "regression", resamples(times(rows), 1))
    assert np.std(found) == pytest.approx(np.sqrt((1 + phi) / (1 - phi) / rows), rel=0.15)


@pytest.mark.parametrize("task", TASKS)
def test_a_metric_on_resamples_is_the_metric_of_the_rows_repeated(task: Task) -> None:
    rows = 600
    target, prediction = examples(task, rows)
    draws = resamples(times(rows), 0, number=5)
    for name in metrics(target, prediction, task):
        if name == "n":
            continue
        found = resampled(name, target, prediction, task, draws)
        for each, counts in enumerate(draws.draws):
            again = np.repeat(np.arange(rows), counts[draws.block].astype(int))
            expected = metrics(target[again], prediction[again], task)[name]
            assert found[each] == pytest.approx(expected, rel=1e-9), name


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_ranking_of_more_scores_than_bins_is_nearly_that_of_the_rows(metric: str) -> None:
    rows = 20_000
    target, prediction = examples("binary", rows)
    draws = resamples(times(rows), 0, number=3)
    found = resampled(metric, target, prediction, "binary", draws)
    for each, counts in enumerate(draws.draws):
        again = np.repeat(np.arange(rows), counts[draws.block].astype(int))
        assert found[each] == pytest.approx(metrics(target[again], prediction[again], "binary")[metric], abs=2e-4)


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_lies_in_its_interval(task: Task) -> None:
    target, prediction = examples(task, 3000)
    figures = metrics(target, prediction, task)
    found = intervals(figures, target, prediction, task, resamples(times(3000), 0))
    assert set(found) == set(figures) - {"n"}
    assert all(low < figures[name] < high for name, (low, high) in found.items())


def test_the_order_of_the_rows_is_no_matter() -> None:
    target, prediction = examples("regression", 1000)
    order = np.random.default_rng(0).permutation(1000)
    ordered = resampled("mae", target, prediction, "regression", resamples(times(1000), 5))
    mixed = resampled("mae", target[order], prediction[order], "regression", resamples(times(1000)[order], 5))
    assert mixed == pytest.approx(ordered, rel=1e-12)


def test_rows_of_one_moment_stay_together() -> None:
    days = np.repeat(times(60, "D"), 100)
    block = resamples(days, 0).block
    assert all(len(np.unique(block[days == day])) == 1 for day in np.unique(days))
    few = np.repeat(times(3, "D"), 1000)  # where that would leave three blocks, rows are cut apart
    assert resamples(few, 0).blocks > 30


def test_a_million_rows_have_no_more_blocks_and_few_rows_have_none() -> None:
    assert resamples(times(1_000_000), 0).blocks == BLOCKS
    few = resamples(times(50), 0)
    assert few.blocks == 0
    assert interval(resampled("mae", np.zeros(50), np.ones(50), "regression", few)) is None


def test_the_same_seed_draws_the_same() -> None:
    first, again, other = (resamples(times(1000), seed).draws for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_improvement_is_relative_and_knows_its_direction() -> None:
    assert improvement(0.9, 1.0, more_is_better=False) == pytest.approx(0.1)
    assert improvement(0.9, 0.8, more_is_better=True) == pytest.approx(0.125)
    assert improvement(0.1, -0.1, more_is_better=True) == pytest.approx(2.0)  # r2 may be negative
    assert np.isnan(improvement(1.0, 0.0, more_is_better=False))


def test_paired_draws_see_what_two_intervals_would_not() -> None:
    """Both miss by about 1, one by 1 % less on the same rows: the intervals overlap, the improvement's is above 0."""
    rng, rows = np.random.default_rng(0), 4000
    target, noise = np.zeros(rows), rng.normal(size=rows)
    theirs, ours = noise, 0.99 * noise
    draws = resamples(times(rows), 0)
    one, other = (resampled("mae", target, each, "regression", draws) for each in (ours, theirs))
    gains = improvement(one, other, more_is_better=False)
    low, high = interval(one) or (0, 0)
    assert low < np.mean(np.abs(theirs)) < high
    assert interval(gains) == pytest.approx((0.01, 0.01))
    assert lower_bound(gains, 0.95) == pytest.approx(0.01)


def test_the_bound_is_one_sided() -> None:
    gains = np.linspace(-0.05, 0.95, 10_001)
    assert lower_bound(gains, 0.95) == pytest.approx(0.0, abs=1e-9)
    assert lower_bound(np.empty(0), 0.95) is None


def test_a_part_that_most_resamples_lack_has_no_interval() -> None:
    rare = np.zeros(1000, dtype=bool)
    rare[500:503] = True  # in one block of fifty: a third of the resamples lack it
    draws: Resamples = resamples(times(1000), 0).of(rare)
    assert interval(resampled("mae", np.zeros(3), np.ones(3), "regression", draws)) is None


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_equal_scores_count_on_resamples_as_they_do_on_rows(metric: str) -> None:
    target, prediction = examples("binary", 600)
    coarse = np.round(prediction, 1)
    draws = resamples(times(600), 0, number=3)
    found = resampled(metric, target, coarse, "binary", draws)
    for each, counts in enumerate(draws.draws):
        again = np.repeat(np.arange(600), counts[draws.block].astype(int))
        assert found[each] == pytest.approx(metrics(target[again], coarse[again], "binary")[metric], rel=1e-9)
