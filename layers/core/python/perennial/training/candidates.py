"""Fitting the candidates of a model definition, and predicting with what was fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from perennial.definitions import Candidate
from perennial.errors import DataError, DefinitionError
from perennial.training.algorithms import build, resolved_parameters
from perennial.training.custom import FAULTS, said
from perennial.training.preprocessing import ESTIMATE, learnable
from perennial.training.problem import Problem
from perennial.training.rows import Rows

__all__ = ["Fitted", "fit", "predict", "resolved_parameters"]

Matrix = npt.NDArray[np.float64]
_MANY_ROWS = 500_000
"""Rows from which on an estimator may use all cores."""


@dataclass(frozen=True)
class Fitted:
    """A candidate's fitted estimator: scikit-learn's own, a pipeline that ends in it, or a custom one."""

    estimator: Any
    problem: Problem
    candidate: Candidate
    features: int
    """How many it reads."""

    @property
    def classes(self) -> list[int]:
        """The classes that the training rows had, in the order of the estimator's probabilities."""
        return [int(place) for place in self.estimator.classes_]


def fit(candidate: Candidate, rows: Rows, seed: int, problem: Problem | None = None) -> Fitted:
    """Fit a candidate's estimator.

    Parameters
    ----------
    candidate : Candidate
        Algorithm and parameters.
    rows : Rows
        What is learnt from (its ``history`` is the caller's to apply).
    seed : int
        Of everything random.
    problem : Problem, optional
        Task and kinds of features; by default a regression on numbers.

    Returns
    -------
    Fitted
        NaN features are handled by all but custom estimators, whose own matter they are.

    Raises
    ------
    DefinitionError
        The estimator refuses a parameter's value, or is custom and fails.
    DataError
        There are no rows, or all are of one class.
    """
    problem = problem or Problem()
    parameters = resolved_parameters(candidate, problem)
    _check_rows(candidate, rows, problem)
    target = rows.target if problem.task == "regression" else rows.target.astype(np.int64)
    features = rows.features.shape[1]
    try:
        estimator = build(candidate, parameters, problem, features, seed)
        with _threads(len(rows)):
            _use_processors(estimator, candidate, all_of_them=len(rows) >= _MANY_ROWS)
            estimator.fit(learnable(rows.features), target)
            _use_processors(estimator, candidate, all_of_them=False)
    except FAULTS as error:
        # The rows hold numbers only (`read_rows`), so what scikit-learn dislikes is a parameter's value.
        who = candidate.estimator or "scikit-learn"
        what = said(error) if candidate.estimator else str(error).splitlines()[0]
        raise DefinitionError(f"candidate {candidate.name!r}: parameters: {who} says: {what}") from error
    if isinstance(estimator, Pipeline) and candidate.estimator is None:
        _round_weights(estimator.named_steps[ESTIMATE])
    if problem.task != "regression" and not (hasattr(estimator, "predict_proba") and hasattr(estimator, "classes_")):
        raise DefinitionError(
            f"candidate {candidate.name!r}: {candidate.estimator} has no predict_proba and classes_ after fit, "
            f"which the task {problem.task} needs"
        )
    return Fitted(estimator, problem, candidate, features)


def predict(fitted: Fitted, features: Matrix) -> Matrix:
    """Predict with a fitted estimator.

    Parameters
    ----------
    features : array of float64, shape (n, number of features)

    Returns
    -------
    array of float64
        Shape (n,): of a regression the number, of a binary task the probability of true. Of several classes shape
        (n, number of classes), probabilities; a class that the training rows did not have has 0.

    Raises
    ------
    DefinitionError
        A custom estimator fails.
    """
    try:
        with _threads(len(features)):
            if fitted.problem.task == "regression":
                return np.asarray(fitted.estimator.predict(features), dtype=np.float64).reshape(len(features))
            found = np.asarray(fitted.estimator.predict_proba(features), dtype=np.float64)
    except FAULTS as error:
        if fitted.candidate.estimator is None:
            raise
        raise DefinitionError(
            f"candidate {fitted.candidate.name!r}: {fitted.candidate.estimator} raises on predicting: {said(error)}"
        ) from error
    binary = fitted.problem.task == "binary"
    probabilities = np.zeros((len(features), 2 if binary else fitted.problem.classes))
    probabilities[:, fitted.classes] = found
    return probabilities[:, 1] if binary else probabilities


def _check_rows(candidate: Candidate, rows: Rows, problem: Problem) -> None:
    if len(rows) == 0:
        raise DataError(f"candidate {candidate.name!r}: no training rows; lengthen its history or upload older data")
    if problem.task != "regression" and len(np.unique(rows.target)) == 1:
        raise DataError(
            f"candidate {candidate.name!r}: all {len(rows)} training rows are of one class; "
            "lengthen its history or upload data of the others"
        )


def _threads(rows: int) -> threadpool_limits:
    """Limit the threads of what is called within; the result does not depend on them.

    On few rows OpenMP threads wait for one another longer than they work, and they wait by spinning: three candidates
    at once on two cores took 9 s each with two threads and 1.4 s with one (57,000 rows; alone 0.5 s with either).
    """
    return threadpool_limits(limits=1 if rows < _MANY_ROWS else None)


def _use_processors(estimator: Any, candidate: Candidate, *, all_of_them: bool) -> None:
    """Let a forest grow its trees side by side; each has a seed of its own, so the forest stays the same.

    It predicts on one: threads would add up its trees' answers in the order in which they come.
    """
    if candidate.algorithm == "random_forest":
        estimator.set_params(n_jobs=-1 if all_of_them else 1)


def _round_weights(estimator: Any) -> None:
    """Keep 8 significant digits of the weights, of which all are far more than the data can tell.

    BLAS adds up in another order on another kind of CPU: weights differ in the 13th digit, of nearly collinear
    features in the 10th. Batch does not promise the kind; rounded, all but rarely, the file is the same on each.
    """
    estimator.coef_ = _rounded(estimator.coef_)
    estimator.intercept_ = _rounded(estimator.intercept_)


def _rounded(values: npt.ArrayLike) -> Matrix:
    array = np.asarray(values, dtype=np.float64)
    return np.array([float(f"{value:.8g}") for value in array.ravel()]).reshape(array.shape)
