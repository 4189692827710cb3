"""Reliability and residuals, beside scikit-learn's and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from perennial.training.calibration import calibration_error, fit_of, reliability, residual_bins


def test_reliability_is_scikit_learns_calibration_curve() -> None:
    rng = np.random.default_rng(0)
    probability = rng.beta(2, 5, 5000)
    happened = rng.random(5000) < probability**1.5
    observed, predicted = calibration_curve(happened, probability, n_bins=10, strategy="quantile")
    bins = reliability(happened, probability)
    assert [each.observed for each in bins] == pytest.approx(observed)
    assert [each.predicted for each in bins] == pytest.approx(predicted)
    assert sum(each.rows for each in bins) == 5000


def test_the_calibration_error_is_the_mean_distance_weighted_by_rows() -> None:
    probability = np.array([0.2] * 30 + [0.9] * 10)
    happened = np.array([True] * 9 + [False] * 21 + [True] * 10)
    # 30 rows of which 0.3 came true where 0.2 was said, 10 of which all did where 0.9 was.
    assert calibration_error(reliability(happened, probability)) == pytest.approx((30 * 0.1 + 10 * 0.1) / 40)


def test_a_single_probability_is_one_bin() -> None:
    (only,) = reliability(np.array([True, False]), np.array([0.5, 0.5]))
    assert (only.predicted, only.observed, only.rows) == (0.5, 0.5, 2)


def test_residuals_are_prediction_minus_truth() -> None:
    target = np.linspace(0, 100, 1001)
    fit = fit_of(target, target + 2, "regression")
    assert list(fit.residual_quantiles.values()) == pytest.approx([2.0] * 7)
    assert fit.truth is not None
    assert fit.prediction is not None
    assert fit.truth.edges == fit.prediction.edges


def test_residual_bins_follow_the_prediction() -> None:
    prediction = np.linspace(0, 1, 10_000)
    rng = np.random.default_rng(0)
    bins = residual_bins(prediction, prediction * rng.uniform(-1, 1, 10_000))
    assert len(bins) == 20
    assert bins[0].high - bins[0].low < 0.05
    # Of uniform values between -1 and 1 a tenth lies below -0.8 and a tenth above 0.8.
    assert bins[-1].high == pytest.approx(0.8, abs=0.1)
    assert bins[-1].low == pytest.approx(-0.8, abs=0.1)


def test_of_several_classes_the_likeliest_is_looked_at() -> None:
    prediction = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.2, 0.6, 0.2]])
    fit = fit_of(np.array([0.0, 1.0, 2.0, 1.0]), prediction, "multiclass")
    assert fit.confusion == ((1, 0, 0), (1, 1, 0), (0, 0, 1))
    assert sum(each.observed * each.rows for each in fit.reliability) == 3


def test_a_condition_is_taken_for_true_above_one_half() -> None:
    fit = fit_of(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.5, 0.51, 0.2, 0.9]), "binary")
    assert fit.confusion == ((1, 0), (1, 2))


def test_a_target_that_never_changes_can_be_drawn() -> None:
    fit = fit_of(np.full(50, 3.0), np.full(50, 3.0), "regression")
    assert fit.residuals is not None
    assert sum(fit.residuals.shares) == pytest.approx(1.0)
