"""Permutation importance, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import permutation_importance as scikit_importance
from sklearn.linear_model import LinearRegression, LogisticRegression

from perennial.training.importance import MOST_ROWS, permutation_importance

NAMES = ("much", "some", "none")


def rows(number: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(number, 3))
    return features, 3 * features[:, 0] + features[:, 1] + rng.normal(size=number)


def test_it_is_scikit_learns_but_for_chance() -> None:
    features, target = rows()
    model = LinearRegression().fit(features, target)
    found = permutation_importance(
        model.predict, features, target, NAMES, task="regression", metric="mae", seed=0, repeats=5
    )
    theirs = scikit_importance(model, features, target, scoring="neg_mean_absolute_error", n_repeats=5, random_state=1)
    assert [each.feature for each in found] == list(NAMES)
    for each, expected in zip(found, theirs.importances_mean, strict=True):
        assert each.worsening == pytest.approx(expected, abs=0.05)


def test_a_score_that_falls_is_a_worsening_as_well() -> None:
    features, number = rows()
    target = (number > 0).astype(float)
    model = LogisticRegression().fit(features, target)
    found = permutation_importance(
        lambda matrix: model.predict_proba(matrix)[:, 1],
        features,
        target,
        NAMES,
        task="binary",
        metric="roc_auc",
        seed=0,
    )
    theirs = scikit_importance(model, features, target, scoring="roc_auc", n_repeats=3, random_state=1)
    assert [each.worsening for each in found] == pytest.approx(theirs.importances_mean, abs=0.02)


def test_it_looks_at_few_of_many_rows_and_leaves_them_as_they_were() -> None:
    features, target = rows(50_000)
    before, seen = features.copy(), []

    def score(matrix: np.ndarray) -> np.ndarray:
        seen.append(len(matrix))
        return matrix[:, 0]

    permutation_importance(score, features, target, NAMES, task="regression", metric="mae", seed=0)
    assert max(seen) <= MOST_ROWS
    assert (features == before).all()


def test_the_same_seed_gives_the_same() -> None:
    features, target = rows(500)

    def ask(seed: int) -> list[float]:
        found = permutation_importance(
            lambda matrix: matrix[:, 0], features, target, NAMES, task="regression", metric="rmse", seed=seed
        )
        return [each.worsening for each in found]

    assert ask(1) == ask(1) != ask(2)


def test_a_metric_that_is_undefined_has_no_importance() -> None:
    features, _ = rows(100)
    one_class = np.ones(100)
    assert (
        permutation_importance(
            lambda matrix: np.full(len(matrix), 0.5),
            features,
            one_class,
            NAMES,
            task="binary",
            metric="roc_auc",
            seed=0,
        )
        == ()
    )
