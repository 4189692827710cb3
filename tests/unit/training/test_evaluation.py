"""Metrics are those that everybody knows, and need no scikit-learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from perennial.errors import DataError
from perennial.training.evaluation import best, metrics, parity_error


def test_metrics_agree_with_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    target = rng.normal(10, 3, 500)
    prediction = target + rng.normal(0.4, 1, 500)
    found = metrics(target, prediction)
    assert found["n"] == 500
    assert found["mae"] == pytest.approx(mean_absolute_error(target, prediction), rel=1e-12)
    assert found["rmse"] == pytest.approx(root_mean_squared_error(target, prediction), rel=1e-12)
    assert found["r2"] == pytest.approx(r2_score(target, prediction), rel=1e-12)


def test_metrics_of_two_classes_agree_with_scikit_learns_ties_included() -> None:
    rng = np.random.default_rng(1)
    target = rng.integers(0, 2, 500).astype(float)
    score = np.round(np.clip(0.3 * target + 0.7 * rng.random(500), 0, 1), 2)
    assert metrics(target, score, "binary") == pytest.approx(
        {
            "n": 500,
            "log_loss": sklearn_metrics.log_loss(target, score),
            "brier": sklearn_metrics.brier_score_loss(target, score),
            "accuracy": sklearn_metrics.accuracy_score(target, score > 0.5),
            "f1": sklearn_metrics.f1_score(target, score > 0.5),
            "roc_auc": sklearn_metrics.roc_auc_score(target, score),
            "average_precision": sklearn_metrics.average_precision_score(target, score),
        },
        rel=1e-9,
    )


def test_metrics_of_several_classes_agree_with_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    target = rng.integers(0, 4, 500).astype(float)
    scores = rng.random((500, 4)) + 0.3 * np.eye(4)[target.astype(int)]
    scores /= scores.sum(axis=1, keepdims=True)
    said = scores.argmax(axis=1)
    assert metrics(target, scores, "multiclass") == pytest.approx(
        {
            "n": 500,
            "log_loss": sklearn_metrics.log_loss(target, scores),
            "accuracy": sklearn_metrics.accuracy_score(target, said),
            "macro_f1": sklearn_metrics.f1_score(target, said, average="macro"),
            "macro_roc_auc": sklearn_metrics.roc_auc_score(target, scores, multi_class="ovr"),
        },
        rel=1e-9,
    )


def test_one_class_alone_has_no_ranking() -> None:
    assert "roc_auc" not in metrics(np.ones(3), np.full(3, 0.9), "binary")


def test_metrics_of_three_rows_are_those_of_hand_arithmetic() -> None:
    found = metrics(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 4.0]))
    assert found == pytest.approx({"n": 3, "mae": 1, "rmse": (5 / 3) ** 0.5, "bias": 1, "r2": 1 - 5 / 2})


@pytest.mark.parametrize(("prediction", "expected"), [([2.0, 2.0], 1.0), ([2.0, 3.0], 0.0)])
def test_a_target_that_does_not_vary_is_explained_in_full_or_not_at_all(
    prediction: list[float], expected: float
) -> None:
    target = np.array([2.0, 2.0])
    assert metrics(target, np.array(prediction))["r2"] == expected == r2_score(target, prediction)


def test_predictions_that_are_not_finite_leave_no_mean() -> None:
    found = metrics(np.zeros(4), np.array([1.0, np.nan, np.inf, 2.0]))
    assert found == {"n": 4, "not_finite": 2}


def test_no_rows_cannot_be_judged() -> None:
    with pytest.raises(DataError, match="no rows to compare"):
        metrics(np.empty(0), np.empty(0))


def test_parity_error_is_relative_for_large_values_and_absolute_for_small() -> None:
    assert parity_error(np.array([1000.0, 0.1]), np.array([1001.0, 0.1])) == pytest.approx(1e-3)
    assert parity_error(np.array([1000.0, 0.1]), np.array([1000.0, 0.3])) == pytest.approx(0.2)
    assert parity_error(np.array([np.inf, 1.0]), np.array([np.inf, 1.0])) == 0


def test_parity_cannot_be_given_when_only_one_side_is_finite() -> None:
    with pytest.raises(DataError, match="disagree on whether 1 of 2 predictions are finite"):
        parity_error(np.array([1.0, 2.0]), np.array([1.0, np.nan]))


def test_the_best_has_the_smallest_metric_and_the_first_of_equals_wins() -> None:
    figures = {"a": {"mae": 2.0}, "b": {"mae": 1.0}, "c": {"mae": 1.0}, "d": {"n": 3.0, "not_finite": 3.0}}
    assert best(figures, "mae") == "b"
    assert best({"d": figures["d"], "a": figures["a"]}, "mae") == "a"


def test_judging_imports_no_scikit_learn() -> None:
    code = (
        "import perennial.steps.evaluate, perennial.steps.register, perennial.steps.admit, perennial.steps.fail, "
        "perennial.training.backtests, perennial.training.problem, perennial.training.gate, sys; "
        "print([name for name in ('sklearn', 'skl2onnx', 'onnx', 'scipy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
