"""Expected metrics are what the metrics are on average over labels drawn with the chances."""

from __future__ import annotations

import numpy as np
import pytest

from perennial.metrics import metrics
from perennial.monitoring.calibration import AS_SAID, Calibrator
from perennial.monitoring.expected_metrics import expected_metrics


def test_of_two_classes_they_are_the_mean_over_drawn_labels() -> None:
    draw = np.random.default_rng(1)
    scores = draw.beta(1, 2, 3000)
    drawn = [metrics((draw.random(3000) < scores).astype(float), scores, "binary") for _ in range(200)]
    found = expected_metrics((AS_SAID,), scores, "binary")
    assert found.keys() == {"log_loss", "brier", "accuracy", "f1", "roc_auc", "average_precision"}
    for name, value in found.items():
        assert value == pytest.approx(np.mean([one[name] for one in drawn]), abs=0.003), name


def test_of_several_classes_they_are_the_mean_over_drawn_labels() -> None:
    draw = np.random.default_rng(2)
    scores = draw.dirichlet([1.0, 2.0, 0.7], 3000)
    bounds = scores.cumsum(axis=1)
    drawn = [
        metrics((draw.random((3000, 1)) > bounds).sum(axis=1).clip(0, 2).astype(float), scores, "multiclass")
        for _ in range(100)
    ]
    found = expected_metrics((AS_SAID,) * 3, scores, "multiclass")
    assert found.keys() == {"log_loss", "accuracy", "macro_f1", "macro_roc_auc"}
    for name, value in found.items():
        assert value == pytest.approx(np.mean([one[name] for one in drawn]), abs=0.004), name


def test_scores_that_say_nothing_are_right_as_often_as_their_chance() -> None:
    half = Calibrator(scores=(0.0, 1.0), chances=(0.3, 0.3))
    found = expected_metrics((half,), np.array([0.9, 0.2, 0.8, 0.1]), "binary")
    assert found["accuracy"] == pytest.approx(0.5 * 0.3 + 0.5 * 0.7)
    assert found["roc_auc"] == pytest.approx(0.5)


def test_what_no_row_could_be_has_no_ranking() -> None:
    never = Calibrator(scores=(0.0, 1.0), chances=(0.0, 0.0))
    assert "roc_auc" not in expected_metrics((never,), np.array([0.9, 0.2]), "binary")
