from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit, softmax

from perennial.definitions import Candidate, Task
from perennial.serving.scorer import Scorer, read_scorer
from perennial.training.candidates import Fitted, fit, predict
from perennial.training.export import export
from perennial.training.flat import flat
from perennial.training.problem import Problem
from perennial.training.rows import Rows
from perennial.training.scoring import score

Matrix = npt.NDArray[np.float64]
ZONES = 70
"""Categories of feature 3: more than two words of bits, of which the training rows have 60."""


def table(rows: int = 2000, seed: int = 0) -> tuple[Matrix, Matrix]:
    """Return features with gaps (numbers, a category, a boolean), and what depends on all of them."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, 5)) * (1, 100, 1e6, 1, 1)
    features[:, 3] = rng.integers(0, 60, rows)
    features[:, 4] = rng.random(rows) < 0.4
    target = features[:, 0] * 30 + features[:, 1] + 80 * (features[:, 3] % 7 == 2) + 30 * features[:, 4]
    features[:, 1:][rng.random((rows, 4)) < 0.15] = np.nan
    return features, target + 50 * np.isnan(features[:, 2])


def unseen() -> Matrix:
    features, _ = table(600, seed=1)
    features[:40, 3] = np.arange(30, ZONES)
    features[40:60, 0] = np.nan
    features[60] = np.nan
    return features


CASES: dict[str, tuple[str, str, Mapping[str, Any], tuple[int, ...]]] = {
    "ridge": ("ridge", "regression", {}, ()),
    "boosting": ("hist_gradient_boosting", "regression", {"max_iter": 20}, ()),
    "boosting-poisson": ("hist_gradient_boosting", "regression", {"max_iter": 20, "loss": "poisson"}, ()),
    "boosting-never-splits": ("hist_gradient_boosting", "regression", {"min_samples_leaf": 2000}, ()),
    "forest": ("random_forest", "regression", {"n_estimators": 7}, ()),
    "logistic-binary": ("logistic_regression", "binary", {}, (0, 1)),
    "boosting-binary": ("hist_gradient_boosting", "binary", {"max_iter": 20}, (0, 1)),
    "forest-binary": ("random_forest", "binary", {"n_estimators": 7}, (0, 1)),
    **{
        f"{name}-{kind}": (algorithm, "multiclass", parameters, seen)
        for kind, seen in (("multiclass", (0, 1, 2, 3)), ("class-never-seen", (0, 1, 3)), ("two-seen", (1, 3)))
        for name, algorithm, parameters in (
            ("logistic", "logistic_regression", {}),
            ("boosting", "hist_gradient_boosting", {"max_iter": 8}),
            ("forest", "random_forest", {"n_estimators": 7, "max_leaf_nodes": 30}),
        )
    },
}


@cache
def made(case: str) -> tuple[Fitted, bytes, Scorer]:
    algorithm, task, parameters, seen = CASES[case]
    features, target = table()
    if "poisson" in case:
        target = np.abs(target)
    if seen:
        target = np.array(seen)[np.digitize(target, np.quantile(target, np.arange(1, len(seen)) / len(seen)))] * 1.0
    candidate = Candidate.model_validate({"name": "c", "algorithm": algorithm, "parameters": dict(parameters)})
    classes = 4 if task == "multiclass" else 0
    problem = Problem(cast(Task, task), {3: ZONES}, frozenset([4]), classes)
    fitted = fit(candidate, Rows(np.zeros(len(target), dtype="datetime64[us]"), features, target), 3, problem)
    content = flat(fitted, features)
    assert content is not None
    return fitted, content, read_scorer(content)


@pytest.mark.parametrize("case", CASES)
def test_it_predicts_what_scikit_learn_and_onnxruntime_do(case: str) -> None:
    fitted, _, scorer = made(case)
    found = scorer.score_matrix(unseen())
    for expected in (predict(fitted, unseen()), score(export(fitted), unseen())):
        assert found.shape == expected.shape
        assert np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected))) < 1e-13


@pytest.mark.parametrize(
    "case", [case for case in CASES if case in ("boosting", "boosting-binary", "forest", "forest-binary")]
)
def test_trees_add_up_in_scikit_learns_order_to_the_last_bit(case: str) -> None:
    fitted, _, scorer = made(case)
    assert scorer.score_matrix(unseen()).tobytes() == predict(fitted, unseen()).tobytes()


@pytest.mark.parametrize("case", CASES)
def test_a_row_alone_has_the_bits_that_it_has_among_others(case: str) -> None:
    _, _, scorer = made(case)
    single = [scorer.score([row])[0] for row in unseen().tolist()]
    assert np.array(single).tobytes() == scorer.score_matrix(unseen()).tobytes()


def of_raw(scale: str, raw: Matrix) -> Matrix:
    """Return what a raw score of a scale predicts."""
    if scale == "log":
        return np.exp(raw)
    if scale == "log_odds":
        return np.asarray(expit(raw) if len(raw) == 1 else softmax(raw))
    return raw


@pytest.mark.parametrize("case", CASES)
def test_contributions_add_up_to_what_the_prediction_is_made_of(case: str) -> None:
    _, _, scorer = made(case)
    for row in unseen()[[0, 45, 60, 200]].tolist():
        found = scorer.contributions(row)
        raw = np.array([base + sum(values) for base, values in zip(found.base, found.values, strict=True)])
        prediction = np.array(scorer.score([row])[0])
        classes = list(found.classes)
        if classes:
            assert len(classes) == len(raw)
            prediction = prediction[classes]
        assert prediction.reshape(-1) == pytest.approx(of_raw(found.scale, raw), rel=1e-9)


def test_what_is_expected_of_trees_is_the_mean_over_their_training_rows() -> None:
    features, target = table()
    _, _, scorer = made("boosting")
    found = scorer.contributions(features[0].tolist())
    # Boosting of squared errors keeps the mean of the training rows.
    assert found.base[0] == pytest.approx(target.mean(), rel=1e-3)
    assert scorer.score_matrix(features).mean() == pytest.approx(found.base[0], rel=1e-6)


@pytest.mark.parametrize("case", ["ridge", "logistic-binary", "logistic-multiclass"])
def test_what_is_expected_of_a_linear_model_is_the_mean_over_its_training_rows(case: str) -> None:
    features, _ = table()
    _, _, scorer = made(case)
    found = [scorer.contributions(row) for row in features.tolist()]
    assert np.mean([each.values for each in found], axis=0) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_the_same_fit_gives_the_same_bytes(case: str) -> None:
    fitted, content, _ = made(case)
    assert flat(fitted, table()[0]) == content


def test_a_custom_estimator_has_none() -> None:
    candidate = Candidate.model_validate(
        {"name": "c", "algorithm": "custom", "estimator": "sklearn.linear_model:Ridge"}
    )
    features, target = table()
    features = np.nan_to_num(features)
    fitted = fit(candidate, Rows(np.zeros(len(target), dtype="datetime64[us]"), features, target), 3)
    assert flat(fitted, features) is None
