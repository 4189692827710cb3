"""Calibrated chances against scikit-learn's isotonic regression and known truths."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from perennial.monitoring.calibration import AS_SAID, calibrator, isotonic


def test_the_fit_is_scikit_learns_where_each_row_has_a_bin() -> None:
    draw = np.random.default_rng(1)
    scores = np.sort(draw.random(180))
    happened = draw.random(180) < scores**2
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, happened).predict(scores)
    found = isotonic(scores, happened)
    # Ours has one knot for each level, at its mean score, where scikit-learn's has a step.
    assert found.chances == pytest.approx(sorted(set(np.round(expected, 12))))


def test_scores_that_are_too_sure_are_brought_back() -> None:
    draw = np.random.default_rng(2)
    chances = draw.random(20_000)
    sure = chances**3 / (chances**3 + (1 - chances) ** 3)
    found = calibrator(sure, draw.random(20_000) < chances)
    assert np.abs(found(sure) - chances).mean() < 0.02


def test_scores_that_are_right_are_left_alone() -> None:
    draw = np.random.default_rng(3)
    chances = draw.random(5_000)
    assert calibrator(chances, draw.random(5_000) < chances) == AS_SAID


def test_one_class_alone_or_few_rows_are_left_alone() -> None:
    assert calibrator(np.array([0.2, 0.9, 0.4, 0.1, 0.3, 0.6]), np.ones(6, dtype=bool)) == AS_SAID
    assert calibrator(np.array([0.2, 0.9]), np.array([True, False])) == AS_SAID


def test_beyond_the_ends_the_map_is_constant() -> None:
    found = isotonic(np.array([0.4, 0.5, 0.6]), np.array([False, False, True]))
    assert found(np.array([0.0, 1.0])).tolist() == [0, 1]
