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
    return Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler()), ("estimate", estimator)])


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
        # BLAS adds up in another order with another number of threads. OpenMP trees do not: they may have all cores.
        with threadpool_limits(limits=1, user_api="blas"):
            return estimator.fit(_learnable(rows.features), rows.target)
    except ValueError as error:
        # The rows hold numbers only (`read_rows`), so what scikit-learn dislikes is a parameter's value.
        sentence = str(error).splitlines()[0]
        raise DefinitionError(f"candidate {candidate.name!r}: parameters: scikit-learn says: {sentence}") from error


def _learnable(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the features with 0 throughout every column that holds no value at all.

    Such a column (a stored view whose values are not known yet) teaches nothing, and a constant says so to both
    algorithms: no weight, no split. Left as it is, the imputer drops it and the trees' binning raises.
    """
    empty = np.isnan(features).all(axis=0)
    return np.where(empty, 0.0, features) if empty.any() else features
