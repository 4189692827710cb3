"""Whatever is learnt, of whatever kind: the ONNX file answers as scikit-learn does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from perennial.definitions import Candidate, Task
from perennial.training.candidates import Fitted, fit, predict
from perennial.training.evaluation import parity_error
from perennial.training.export import export
from perennial.training.problem import Problem
from perennial.training.rows import Rows
from perennial.training.scoring import score

Matrix = npt.NDArray[np.float64]
CLASSES = 4
FEW: dict[str, dict[str, Any]] = {
    "ridge": {},
    "logistic_regression": {},
    "hist_gradient_boosting": {"max_iter": 15, "min_samples_leaf": 3},
    "random_forest": {"n_estimators": 7, "min_samples_leaf": 2},
}
CASES: list[tuple[str, Task]] = [
    ("ridge", "regression"),
    ("logistic_regression", "binary"),
    ("logistic_regression", "multiclass"),
    ("hist_gradient_boosting", "regression"),
    ("hist_gradient_boosting", "binary"),
    ("hist_gradient_boosting", "multiclass"),
    ("random_forest", "regression"),
    ("random_forest", "binary"),
    ("random_forest", "multiclass"),
]
KINDS = {"categorical": {1: 6, 3: 120}, "boolean": frozenset({4})}


def table(rows: int, seed: int, seen: int = 120) -> Matrix:
    """Return two numbers (0, 2), categories of 6 and of 120 (1, 3; ``seen`` of each occur), a boolean (4), gaps."""
    rng = np.random.default_rng(seed)
    features = np.column_stack(
        [
            rng.normal(size=rows) * 1e4,
            rng.integers(0, min(6, seen), rows),
            np.round(rng.normal(size=rows), 1),
            rng.integers(0, seen, rows),
            rng.integers(0, 2, rows),
        ]
    ).astype(np.float64)
    features[rng.random(features.shape) < 0.15] = np.nan
    return features


def truth(features: Matrix, task: Task, seed: int) -> Matrix:
    rng = np.random.default_rng(seed)
    effect = rng.normal(size=121) * 2  # of each category, and of none
    raw = (
        effect[np.where(np.isnan(features[:, 3]), 120, features[:, 3]).astype(int)]
        + np.nan_to_num(features[:, 0]) / 1e4
        + 2 * (features[:, 1] == 2)
        + np.nan_to_num(features[:, 4])
        + rng.normal(size=len(features))
    )
    if task == "regression":
        return raw * 100
    return (raw > np.median(raw)) * 1.0 if task == "binary" else np.digitize(raw, [-2.0, 0.0, 2.0]) * 1.0


def learn(algorithm: str, task: Task, features: Matrix, target: Matrix, **parameters: Any) -> Fitted:
    candidate = Candidate.model_validate(
        {"name": "c", "algorithm": algorithm, "parameters": {**FEW[algorithm], **parameters}}
    )
    problem = Problem(task=task, classes=CLASSES if task == "multiclass" else 0, **KINDS)
    return fit(candidate, Rows(np.zeros(len(target), dtype="datetime64[us]"), features, target), 5, problem)


def theirs(algorithm: str, task: Task) -> Any:
    """Return what scikit-learn's manual would have one write for the table."""
    if algorithm in ("ridge", "logistic_regression"):
        preparation = ColumnTransformer(
            [
                ("scaled", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), [0, 2]),
                ("flags", SimpleImputer(strategy="most_frequent"), [4]),
                ("dummies", OneHotEncoder(categories=[range(6), range(120)], handle_unknown="ignore"), [1, 3]),
            ],
            sparse_threshold=0,
        )
        return make_pipeline(
            preparation, Ridge() if task == "regression" else LogisticRegression(tol=1e-9, max_iter=9999)
        )
    boosting = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    if algorithm == "hist_gradient_boosting":
        return boosting(
            max_iter=15, min_samples_leaf=3, early_stopping=False, categorical_features=[1, 3], random_state=5
        )
    forest = RandomForestRegressor if task == "regression" else RandomForestClassifier
    return forest(n_estimators=7, min_samples_leaf=2, random_state=5)


@pytest.mark.parametrize(("algorithm", "task"), CASES)
def test_the_file_answers_as_scikit_learn_does(algorithm: str, task: Task) -> None:
    features = table(800, 0, seen=100)
    target = truth(features, task, 0)
    asked = table(1500, 1)  # 20 categories that were never learnt, gaps everywhere
    asked[0] = np.nan
    found = score(export(learn(algorithm, task, features, target)), asked)
    with threadpool_limits(1):  # threads of OpenMP wait by spinning
        estimator = theirs(algorithm, task).fit(features, target)
    expected = estimator.predict(asked) if task == "regression" else estimator.predict_proba(asked)
    expected = expected[:, 1] if task == "binary" else expected
    # Weights are kept to 8 digits, and lbfgs ends near to where Newton's method does.
    tolerance = {"ridge": 1e-5, "logistic_regression": 1e-5}.get(algorithm, 1e-12)
    assert found.shape == expected.shape
    assert parity_error(expected, found) < tolerance
    assert np.ptp(found, axis=0).min() > 0.1


@pytest.mark.parametrize(("algorithm", "task"), CASES)
def test_the_file_answers_as_its_own_estimator_does(algorithm: str, task: Task) -> None:
    features = table(400, 2, seen=90)
    fitted = learn(algorithm, task, features, truth(features, task, 2))
    artifact = export(fitted)
    for seed in range(3):
        asked = table(500, 10 + seed)
        assert parity_error(predict(fitted, asked), score(artifact, asked)) < 1e-12
    assert export(learn(algorithm, task, features, truth(features, task, 2))) == artifact


@pytest.mark.parametrize(("algorithm", "task"), CASES)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.integers(4, 40),
    seen=st.integers(1, 120),
    seed=st.integers(0, 10**6),
    gone=st.sets(st.integers(0, 4), max_size=3),
    constant=st.sets(st.integers(0, 4), max_size=2),
)
def test_tiny_tables_with_columns_that_are_empty_or_constant(
    algorithm: str, task: Task, rows: int, seen: int, seed: int, gone: set[int], constant: set[int]
) -> None:
    features = table(rows, seed, seen)
    features[:, list(constant)] = 1.0
    features[:, list(gone)] = np.nan
    target = truth(features, task, seed)
    target[:2] = (0, 1)  # two classes at least; others may be missing
    parameters = {"max_iter": 4} if algorithm == "hist_gradient_boosting" else {}
    fitted = learn(algorithm, task, features, target, **parameters)
    asked = table(60, seed + 1)
    found = score(export(fitted), asked)
    assert parity_error(predict(fitted, asked), found) < 1e-9
    if task == "multiclass":
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
        assert set(np.flatnonzero(found.any(axis=0))) <= set(target.astype(int))


def test_a_category_that_was_never_learnt_counts_as_missing() -> None:
    features = table(800, 0, seen=100)
    target = truth(features, "regression", 0)
    asked = table(300, 1)
    unknown, missing = asked.copy(), asked.copy()
    unknown[:, 3], missing[:, 3] = 110.0, np.nan
    for algorithm in ("ridge", "hist_gradient_boosting"):
        artifact = export(learn(algorithm, "regression", features, target))
        np.testing.assert_array_equal(score(artifact, unknown), score(artifact, missing))
        assert np.mean(score(artifact, unknown) != score(artifact, asked)) > 0.5


def test_the_order_of_categories_is_nothing_to_boosting() -> None:
    """One split sets even categories apart from odd ones, which no threshold on their places could."""
    codes = np.tile(np.arange(100.0), 10)
    features = np.column_stack([np.zeros(1000), np.zeros(1000), np.zeros(1000), codes, np.zeros(1000)])
    one_split = {"max_iter": 1, "learning_rate": 1.0, "max_leaf_nodes": 2, "min_samples_leaf": 1}
    artifact = export(learn("hist_gradient_boosting", "regression", features, codes % 2 * 8, **one_split))
    found = score(artifact, features[:100])
    # Newton's step with scikit-learn's smoothing of categories is not the mean to the last digit.
    np.testing.assert_allclose(found, np.arange(100) % 2 * 8, atol=0.01)


@pytest.mark.parametrize("algorithm", ["hist_gradient_boosting", "random_forest", "logistic_regression"])
def test_a_class_that_was_not_there_has_no_probability(algorithm: str) -> None:
    features = table(300, 3)
    target = np.where(truth(features, "multiclass", 3) >= 2, 3.0, 1.0)
    found = score(export(learn(algorithm, "multiclass", features, target)), features)
    assert found.shape == (300, CLASSES)
    np.testing.assert_array_equal(found[:, [0, 2]], 0)
    assert np.mean(np.argmax(found, axis=1) == target) > 0.8


def test_boolean_features_are_not_scaled() -> None:
    """Ridge on one boolean: with x of mean 0.5 and n rows, w = Sxy / (Sxx + alpha), by hand 200 / (50 + 50) = 2."""
    flag = np.tile([0.0, 1.0], 100)
    rows = Rows(np.zeros(200, dtype="datetime64[us]"), flag[:, None], flag * 4)
    candidate = Candidate.model_validate({"name": "c", "algorithm": "ridge", "parameters": {"alpha": 50.0}})
    artifact = export(fit(candidate, rows, 0, Problem(boolean=frozenset({0}))))
    np.testing.assert_allclose(score(artifact, np.array([[0.0], [1.0], [np.nan]])), [1, 3, 1], rtol=1e-6)


def test_many_rows_are_scored_in_parts() -> None:
    features = table(300, 4)
    artifact = export(learn("random_forest", "multiclass", features, truth(features, "multiclass", 4)))
    asked = np.tile(features, (81, 1))  # 24,300 rows
    np.testing.assert_array_equal(score(artifact, asked), np.tile(score(artifact, features), (81, 1)))
    assert score(artifact, features[:0]).shape == (0, CLASSES)
