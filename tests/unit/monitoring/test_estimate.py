"""Estimates of quality follow what labels later say."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.metrics import metrics
from perennial.monitoring.cells import cells_of, describe, groups_of
from perennial.monitoring.estimate import EstimateError, Estimator, estimate, make_estimator

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def numbers(rows: int, seed: int, center: float = 0.0) -> Rows:
    """Rows whose errors grow with a feature: feature, prediction, target."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal(rows) + center
    return x, 2 * x, 2 * x + draw.standard_normal(rows) * np.exp(x / 2)


def fitted(metric: str) -> tuple[Estimator, np.ndarray]:
    x, said, target = numbers(20_000, 1)
    histogram = describe(x, "number")
    cells = {"x": cells_of(histogram.edges, x)}
    found = make_estimator(cells, {"x": groups_of(histogram, "number")}, said, target, "regression", metric)
    assert found is not None
    return found, np.array(histogram.edges)


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_of_numbers_the_estimate_follows_a_shift_to_where_errors_are_larger(metric: str) -> None:
    estimator, edges = fitted(metric)
    for center in (-0.5, 0.0, 0.5):
        x, said, target = numbers(5_000, 2, center)
        found = estimate(estimator, {"x": np.bincount(cells_of(edges, x), minlength=len(edges) + 2)}, 5_000)
        assert found is not None
        by_labels = metrics(target, said)[metric]
        assert found.value == pytest.approx(by_labels, rel=0.12)
        assert found.low < found.value < found.high
        assert (found.chance < 0.001) == (center > 0)


def test_of_classes_it_follows_a_shift_to_where_they_are_hard_to_tell() -> None:
    draw = np.random.default_rng(3)

    def classes(rows: int, power: float) -> tuple[np.ndarray, np.ndarray]:
        chances = 1 / (1 + np.exp(-power * draw.standard_normal(rows)))
        sure = chances**2 / (chances**2 + (1 - chances) ** 2)
        return sure, (draw.random(rows) < chances).astype(float)

    scores, target = classes(20_000, 2.0)
    no_features = {"prediction": np.zeros(20_000, dtype=np.int64)}
    estimator = make_estimator(no_features, {"prediction": (0, -1)}, scores, target, "binary", "roc_auc")
    assert estimator is not None
    for power in (2.0, 0.7):
        scores, target = classes(10_000, power)
        found = estimate(estimator, {"prediction": np.array([10_000, 0])}, 10_000, scores)
        by_labels = metrics(target, scores, "binary")["roc_auc"]
        assert found is not None
        assert found.low <= by_labels <= found.high
        assert (found.chance < 0.001) == (power < 2)


def test_the_band_holds_what_labels_say_nineteen_times_of_twenty() -> None:
    estimator, edges = fitted("mae")
    held = 0
    for seed in range(300):
        x, said, target = numbers(1_000, 100 + seed)
        found = estimate(estimator, {"x": np.bincount(cells_of(edges, x), minlength=len(edges) + 2)}, 1_000)
        assert found is not None
        held += found.low <= metrics(target, said)["mae"] <= found.high
    assert 0.9 <= held / 300 <= 0.995


def test_what_cannot_be_told_is_none() -> None:
    _, said, target = numbers(600, 5)
    cells, groups = {"x": np.zeros(600, dtype=np.int64)}, {"x": (0, -1)}
    assert make_estimator(cells, groups, said[:400], target[:400], "regression", "mae") is None
    assert make_estimator(cells, groups, np.full(600, np.inf), target, "regression", "mae") is None
    of_r2 = make_estimator(cells, groups, said, target, "regression", "r2")
    assert of_r2 is not None
    assert of_r2.loss_metric == "mae"
    assert estimate(of_r2, {"x": np.array([5, 0])}, 5) is None


def test_the_error_of_an_estimate_falls_with_the_rows_to_what_stretches_differ_by() -> None:
    error = EstimateError(of_a_row=3, of_a_stretch=0.4)
    assert error.at(1) == pytest.approx((9 + 0.16) ** 0.5)
    assert error.at(10**9) == pytest.approx(0.4, rel=1e-4)
