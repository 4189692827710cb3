"""The estimators that a model definition can name, and fitting one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from perennial.definitions import Candidate, Scalar
from perennial.errors import DataError, DefinitionError
from perennial.training.rows import Rows

Matrix = npt.NDArray[np.float64]
_MANY_ROWS = 500_000
"""Rows from which on an estimator may use all cores."""
_OURS = {
    "random_state": "the model's seed sets it",
    "categorical_features": "every feature is a number here",
    "warm_start": "every training starts afresh",
}


@dataclass(frozen=True)
class _Algorithm:
    """How an algorithm's name in a definition becomes an estimator."""

    estimator: type[BaseEstimator]
    defaults: dict[str, Scalar]
    """Where we differ from scikit-learn's own defaults."""
    wrap: Callable[[BaseEstimator], Any]
    """What stands around the estimator."""


def _with_preparation(estimator: BaseEstimator) -> Pipeline:
    """Put median imputation and scaling before an estimator that can do without neither."""
    return Pipeline(
        [("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler()), ("estimate", estimator)]
    )


_ALGORITHMS = {
    "ridge": _Algorithm(Ridge, {}, _with_preparation),
    # Early stopping would hold back rows of its own; the time-ordered holdout is what judges here.
    "hist_gradient_boosting": _Algorithm(
        HistGradientBoostingRegressor, {"early_stopping": False}, lambda estimator: estimator
    ),
}


def parameters_of(candidate: Candidate) -> dict[str, Scalar]:
    """Return the arguments of the candidate's estimator: our defaults, overridden by the definition's.

    Raises
    ------
    DefinitionError
        A parameter is not one of the estimator's, or is not the definition's to set.
    """
    algorithm = _ALGORITHMS[candidate.algorithm]
    known = sorted(set(algorithm.estimator().get_params()) - set(_OURS))
    for name in candidate.parameters:
        place = f"candidate {candidate.name!r}: parameters.{name}"
        if name in _OURS:
            raise DefinitionError(f"{place}: take it out, {_OURS[name]}")
        if name not in known:
            raise DefinitionError(f"{place}: {candidate.algorithm} has no such parameter; it has {', '.join(known)}")
    return {**algorithm.defaults, **candidate.parameters}


def fit(candidate: Candidate, rows: Rows, seed: int) -> Any:
    """Fit a candidate's estimator.

    Parameters
    ----------
    candidate : Candidate
        Algorithm and parameters.
    rows : Rows
        What is learnt from (its ``history`` is the caller's to apply).
    seed : int
        Of everything random.

    Returns
    -------
    HistGradientBoostingRegressor or Pipeline
        Fitted; NaN features are handled by both.

    Raises
    ------
    DefinitionError
        The estimator refuses a parameter's value.
    DataError
        There are no rows.
    """
    parameters = parameters_of(candidate)
    if len(rows) == 0:
        raise DataError(f"candidate {candidate.name!r}: no training rows; lengthen its history or upload older data")
    algorithm = _ALGORITHMS[candidate.algorithm]
    estimator = algorithm.wrap(algorithm.estimator(random_state=seed, **parameters))
    try:
        with _threads(len(rows)):
            estimator.fit(_learnable(rows.features), rows.target)
    except (ValueError, TypeError) as error:
        # The rows hold numbers only (`read_rows`), so what scikit-learn dislikes is a parameter's value.
        sentence = str(error).splitlines()[0]
        raise DefinitionError(f"candidate {candidate.name!r}: parameters: scikit-learn says: {sentence}") from error
    if isinstance(estimator, Pipeline):
        _round_weights(estimator.named_steps["estimate"])
    return estimator


def predict(estimator: Any, features: Matrix) -> Matrix:
    """Predict with a fitted estimator: float64 of shape (n,) for features of shape (n, number of features)."""
    with _threads(len(features)):
        return np.asarray(estimator.predict(features), dtype=np.float64)


def _threads(rows: int) -> threadpool_limits:
    """Limit the threads of what is called within; the result does not depend on them.

    On few rows OpenMP threads wait for one another longer than they work, and they wait by spinning: three candidates
    at once on two cores took 9 s each with two threads and 1.4 s with one (57,000 rows; alone 0.5 s with either).
    """
    return threadpool_limits(limits=1 if rows < _MANY_ROWS else None)


def _round_weights(estimator: Any) -> None:
    """Keep 8 significant digits of the weights, of which all are far more than the data can tell.

    BLAS adds up in another order on another kind of CPU: weights differ in the 13th digit, of nearly collinear
    features in the 10th. Batch does not promise the kind; rounded, all but rarely, the file is the same on each.
    """
    estimator.coef_ = np.array([_rounded(weight) for weight in estimator.coef_])
    estimator.intercept_ = _rounded(estimator.intercept_)


def _rounded(value: float) -> float:
    return float(f"{value:.8g}")


def _learnable(features: Matrix) -> Matrix:
    """Return the features with 0 throughout every column that holds no value at all.

    Such a column (a stored view whose values are not known yet) teaches nothing, and a constant says so to both
    algorithms: no weight, no split. Left as it is, the imputer drops it and the trees' binning raises.
    """
    empty = np.isnan(features).all(axis=0)
    return np.where(empty, 0.0, features) if empty.any() else features
