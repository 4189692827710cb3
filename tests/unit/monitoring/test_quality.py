"""Metrics over labelled predictions."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss

from perennial.monitoring.quality import LARGEST_RATIO, measure, ratio_to, worsening

LABELS, PREDICTIONS = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 0.0, 4.0])


def test_the_mean_absolute_error_is_the_mean_distance() -> None:
    assert measure("mae", LABELS, PREDICTIONS) == 1.0  # (1 + 0 + 3 + 0) / 4


def test_the_root_mean_squared_error_weighs_large_errors_more() -> None:
    assert measure("rmse", LABELS, PREDICTIONS) == pytest.approx(2.5**0.5)  # (1 + 0 + 9 + 0) / 4


def test_a_metric_of_no_rows_or_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        measure("mae", np.empty(0), np.empty(0))
    with pytest.raises(ValueError, match="no metric 'mape'"):
        measure("mape", LABELS, PREDICTIONS)


def test_metrics_of_classes_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(1)
    true, said = draw.integers(0, 2, 200).astype(float), draw.random(200)
    assert measure("average_precision", true, said, "binary") == pytest.approx(average_precision_score(true, said))
    assert measure("brier", true, said, "binary") == pytest.approx(brier_score_loss(true, said))
    place, odds = draw.integers(0, 3, 200).astype(float), draw.random((200, 3))
    chances = odds / odds.sum(axis=1, keepdims=True)
    assert measure("log_loss", place, chances, "multiclass") == pytest.approx(log_loss(place, chances))
    expected = f1_score(place, chances.argmax(axis=1), average="macro")
    assert measure("macro_f1", place, chances, "multiclass") == pytest.approx(expected)


def test_a_metric_of_another_task_is_refused() -> None:
    with pytest.raises(ValueError, match="no metric 'mae' of a binary model; there are log_loss"):
        measure("mae", LABELS, PREDICTIONS, "binary")


def test_a_metric_that_one_class_alone_does_not_have_is_none() -> None:
    assert measure("roc_auc", np.ones(3), np.array([0.1, 0.2, 0.3]), "binary") is None


@pytest.mark.parametrize(
    ("metric", "reference", "measured", "ratio"),
    [
        ("mae", 2.0, 3.0, 1.5),
        ("log_loss", 0.5, 0.25, 0.5),
        ("accuracy", 0.9, 0.8, 2.0),
        ("roc_auc", 0.75, 0.875, 0.5),
        ("r2", 0.5, -1.0, 4.0),
        ("f1", 1.0, 1.0, 1.0),
        ("f1", 1.0, 0.9, LARGEST_RATIO),
        ("f1", 0.9, 1.0, 0.0),
    ],
)
def test_a_ratio_above_one_is_worse_whichever_way_the_metric_goes(
    metric: str, reference: float, measured: float, ratio: float
) -> None:
    assert worsening(metric, reference, measured) == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("reference", "measured", "ratio"),
    [(2.0, 3.0, 1.5), (2.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1e-9, LARGEST_RATIO), (1e-300, 1e300, LARGEST_RATIO)],
)
def test_the_ratio_says_how_many_times_worse_than_promised(reference: float, measured: float, ratio: float) -> None:
    assert ratio_to(reference, measured) == ratio
