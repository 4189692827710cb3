"""ONNX files say what their estimators say."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, load_from_string
from sklearn.ensemble import HistGradientBoostingRegressor

from perennial.definitions import Candidate
from perennial.training.candidates import Fitted, fit, predict
from perennial.training.export import export
from perennial.training.problem import Problem
from perennial.training.rows import Rows
from perennial.training.scoring import score

Matrix = npt.NDArray[np.float64]
REGRESSORS = ("ridge", "hist_gradient_boosting", "random_forest")


def learn(algorithm: str, features: Matrix, target: Matrix, seed: int = 3, **parameters: Any) -> Fitted:
    candidate = Candidate.model_validate({"name": "c", "algorithm": algorithm, "parameters": parameters})
    times = np.zeros(len(target), dtype="datetime64[us]")
    return fit(candidate, Rows(times, features, target), seed)


def gaps(rows: int = 3000, seed: int = 0) -> tuple[Matrix, Matrix]:
    """Return features of which a fifth is missing, one of them never, and a target that depends on what is missing."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 5)) * (1, 100, 1e-3, 1, 1e6)
    features[:, 3] = np.round(features[:, 3])
    target = features[:, 0] * 3 + features[:, 1] + features[:, 3] ** 2
    features[:, 1:][rng.random((rows, 4)) < 0.2] = np.nan
    return features, target + 50 * np.isnan(features[:, 2])


def relative_difference(actual: Matrix, expected: Matrix) -> float:
    return float(np.max(np.abs(actual - expected) / np.maximum(1, np.abs(expected))))


@pytest.mark.parametrize("algorithm", REGRESSORS)
def test_rows_with_missing_values_are_predicted_as_scikit_learn_does(algorithm: str) -> None:
    features, target = gaps()
    estimator = learn(algorithm, features, target)
    unseen, _ = gaps(seed=1)
    unseen[:100, 0] = np.nan  # missing where the training rows never were
    unseen[100] = np.nan
    assert relative_difference(score(export(estimator), unseen), predict(estimator, unseen)) < 1e-12


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "gamma"])
def test_every_loss_is_exported_with_its_link(loss: str) -> None:
    features, target = gaps()
    estimator = learn("hist_gradient_boosting", features, np.abs(target) + 1, loss=loss, max_iter=30)
    assert relative_difference(score(export(estimator), features), predict(estimator, features)) < 1e-12


def test_values_exactly_on_thresholds_take_the_branch_that_scikit_learn_takes() -> None:
    features, target = gaps()
    estimator = learn("hist_gradient_boosting", features, target)
    rng = np.random.default_rng(2)
    nodes = np.concatenate([stage[0].nodes for stage in estimator.estimator._predictors])
    inner = nodes[(nodes["is_leaf"] == 0) & np.isfinite(nodes["num_threshold"])]
    on_thresholds = features.copy()
    for column in range(features.shape[1]):
        on_thresholds[:, column] = rng.choice(inner["num_threshold"][inner["feature_idx"] == column], len(features))
    beside = np.nextafter(on_thresholds, np.inf)
    expected = predict(estimator, on_thresholds)
    assert np.mean(expected != predict(estimator, beside)) > 0.9  # these rows do stand on an edge
    artifact = export(estimator)
    assert relative_difference(score(artifact, on_thresholds), expected) < 1e-12
    assert relative_difference(score(artifact, beside), predict(estimator, beside)) < 1e-12


def test_a_step_is_learnt_where_hand_arithmetic_puts_it() -> None:
    """One tree of one split, no shrinkage: each side predicts its mean, 1 and 9; missing values were all 9."""
    features = np.array([[0.0], [1.0], [2.0], [3.0], [np.nan]] * 20)
    target = np.array([1.0, 1.0, 9.0, 9.0, 9.0] * 20)
    estimator = learn(
        "hist_gradient_boosting", features, target, max_iter=1, learning_rate=1.0, max_leaf_nodes=2, min_samples_leaf=1
    )
    asked = np.array([[-5.0], [1.0], [1.5], [np.nextafter(1.5, 2)], [50.0], [np.nan]])
    np.testing.assert_allclose(score(export(estimator), asked), [1, 1, 1, 9, 9, 9], atol=1e-6)  # gradients are float32


def test_ridge_follows_the_closed_form() -> None:
    """Weights w = (Z'Z + alpha I)^-1 Z'(y - mean y) on standardised features Z, medians where values are missing."""
    features, target = gaps()
    filled = np.where(np.isnan(features), np.nanmedian(features, axis=0), features)
    standard = (filled - filled.mean(axis=0)) / filled.std(axis=0)
    gram = standard.T @ standard + 5.0 * np.eye(5)
    expected = standard @ np.linalg.solve(gram, standard.T @ (target - target.mean())) + target.mean()
    actual = score(export(learn("ridge", features, target, alpha=5.0)), features)
    assert relative_difference(actual, expected) < 1e-6  # weights are kept to 8 digits


def test_trees_that_never_split_predict_the_mean() -> None:
    features, _ = gaps(rows=200)
    artifact = export(learn("hist_gradient_boosting", features, np.full(200, 4.5)))
    np.testing.assert_allclose(score(artifact, features), 4.5, rtol=1e-15)


@pytest.mark.parametrize("algorithm", REGRESSORS)
def test_a_feature_that_was_never_there_has_no_say(algorithm: str) -> None:
    features, target = gaps()
    features[:, 2] = np.nan
    estimator = learn(algorithm, features, target)
    artifact = export(estimator)
    there = features.copy()
    there[:, 2] = 12.0
    np.testing.assert_array_equal(score(artifact, there), score(artifact, features))


@pytest.mark.parametrize("algorithm", REGRESSORS)
def test_numbers_are_double_precision_throughout(algorithm: str) -> None:
    features, target = gaps()
    graph = load_from_string(export(learn(algorithm, features, target, **FEW.get(algorithm, {})))).graph
    tensors = [*graph.initializer, *(item.t for node in graph.node for item in node.attribute if item.HasField("t"))]
    numbers = [tensor.data_type for tensor in tensors if tensor.name not in NOT_NUMBERS]
    assert numbers
    assert set(numbers) == {TensorProto.DOUBLE}
    ends = [*graph.input, *graph.output]
    assert {end.type.tensor_type.elem_type for end in ends} == {TensorProto.DOUBLE}


NOT_NUMBERS = ("modes",)
FEW: dict[str, dict[str, Any]] = {"hist_gradient_boosting": {"max_iter": 5}, "random_forest": {"n_estimators": 5}}
ALGORITHMS = (*REGRESSORS, "logistic_regression")


def made(algorithm: str) -> Fitted:
    """Return what an algorithm learns from the same rows everywhere."""
    features, target = gaps()
    if algorithm == "logistic_regression":
        rows = Rows(np.zeros(len(target), dtype="datetime64[us]"), features, np.digitize(target, [-50.0, 50.0]) * 1.0)
        candidate = Candidate.model_validate({"name": "c", "algorithm": algorithm})
        return fit(candidate, rows, 3, Problem(task="multiclass", classes=3))
    return learn(algorithm, features, target, **({"n_estimators": 10} if algorithm == "random_forest" else {}))


FINGERPRINT = """
import hashlib, sys
sys.path.insert(0, {here!r})
from test_export import ALGORITHMS, made
from perennial.training.export import export
for algorithm in ALGORITHMS:
    print(hashlib.sha256(export(made(algorithm))).hexdigest())
"""


def fingerprints(**environment: str) -> list[str]:
    code = FINGERPRINT.format(here=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.fixture(scope="module")
def here() -> list[str]:
    """Return the fingerprints that this process makes."""
    return [hashlib.sha256(export(made(algorithm))).hexdigest() for algorithm in ALGORITHMS]


def test_another_process_with_other_threads_makes_the_same_bytes(here: list[str]) -> None:
    assert fingerprints(OMP_NUM_THREADS="3", OPENBLAS_NUM_THREADS="2", PYTHONHASHSEED="5") == here


def test_another_cpu_kind_makes_the_same_bytes(here: list[str]) -> None:
    """OPENBLAS_CORETYPE picks the kernels of an older CPU; the weights of `ridge` then differ in their last digits."""
    assert fingerprints(OPENBLAS_CORETYPE="SANDYBRIDGE") == here


def test_another_seed_makes_another_file_where_chance_plays_a_part() -> None:
    features, target = gaps()
    one, again, other = (
        export(learn("hist_gradient_boosting", features, target, seed=seed, max_features=0.5)) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


def test_more_threads_for_many_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features, target = gaps()
    few = export(learn("hist_gradient_boosting", features, target, max_iter=5))
    monkeypatch.setattr("perennial.training.candidates._MANY_ROWS", 1)
    assert export(learn("hist_gradient_boosting", features, target, max_iter=5)) == few


def test_the_estimator_is_scikit_learns_own() -> None:
    features, target = gaps()
    ours = learn("hist_gradient_boosting", features, target, max_iter=7, min_samples_leaf=40)
    theirs = HistGradientBoostingRegressor(max_iter=7, min_samples_leaf=40, early_stopping=False, random_state=3)
    np.testing.assert_array_equal(predict(ours, features), theirs.fit(features, target).predict(features))
