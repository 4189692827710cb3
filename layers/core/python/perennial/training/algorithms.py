"""The algorithms that a definition can name, as scikit-learn estimators."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge

from perennial.definitions import Candidate, Scalar
from perennial.errors import DefinitionError
from perennial.training.custom import estimator_class
from perennial.training.preprocessing import with_preparation
from perennial.training.problem import Problem

_OURS = {
    "random_state": "the model's seed sets it",
    "categorical_features": "the features' kinds set it",
    "warm_start": "every training starts afresh",
    "n_jobs": "the processors that there are set it",
}
_OURS_OF_CUSTOM = ("random_state", "categorical_features")
_NO_GAPS = "absolute_error"


@dataclass(frozen=True)
class Algorithm:
    """How an algorithm's name in a definition becomes an estimator."""

    regressor: type[Any] | None
    classifier: type[Any] | None
    defaults: dict[str, Scalar]
    """Where we differ from scikit-learn's own defaults."""
    wrap: Callable[[Any, Problem, int], Any]
    """Makes of the estimator, for a problem and its number of features, what is fitted."""

    def estimator(self, problem: Problem) -> type[Any]:
        """Return the estimator for the problem's task."""
        found = self.regressor if problem.task == "regression" else self.classifier
        assert found is not None, "Model makes sure that its algorithms fit its task"
        return found


def _categories_by_place(estimator: Any, problem: Problem, features: int) -> Any:
    del features
    return estimator.set_params(categorical_features=sorted(problem.categorical) or None)


def _as_it_is(estimator: Any, problem: Problem, features: int) -> Any:
    del problem, features
    return estimator


_BUILT_IN = {
    "ridge": Algorithm(Ridge, None, {}, with_preparation),
    # Newton's steps end where another kind of CPU ends too, to many more digits than those of lbfgs.
    "logistic_regression": Algorithm(
        None, LogisticRegression, {"solver": "newton-cholesky", "tol": 1e-8}, with_preparation
    ),
    # Early stopping would hold back rows of its own; the time-ordered holdout is what judges here.
    "hist_gradient_boosting": Algorithm(
        HistGradientBoostingRegressor, HistGradientBoostingClassifier, {"early_stopping": False}, _categories_by_place
    ),
    # Missing values are scikit-learn's own; a category is its place. Leaves of one row would make files of gigabytes.
    "random_forest": Algorithm(
        RandomForestRegressor, RandomForestClassifier, {"min_samples_leaf": 5}, _as_it_is
    ),
}  # fmt: skip


def build(candidate: Candidate, parameters: Mapping[str, Scalar], problem: Problem, features: int, seed: int) -> Any:
    """Return the unfitted estimator of a candidate.

    Parameters
    ----------
    parameters : mapping
        As `resolved_parameters` gives them.
    features : int
        How many there are.
    seed : int
        Of everything random.

    Raises
    ------
    DefinitionError
        A custom estimator cannot be imported.
    TypeError, ValueError
        The estimator refuses a parameter's value at once.
    """
    if candidate.estimator is None:
        algorithm = _BUILT_IN[candidate.algorithm]
        return algorithm.wrap(algorithm.estimator(problem)(random_state=seed, **parameters), problem, features)
    found = estimator_class(candidate.estimator, problem.estimators)
    ours = {"random_state": seed, "categorical_features": sorted(problem.categorical)}
    taken = inspect.signature(found).parameters
    return found(**parameters, **{name: value for name, value in ours.items() if name in taken})


def _takes(estimator: type[Any], asked: Iterable[str]) -> set[str]:
    """Return the arguments that an estimator of somebody else takes: all that is asked about, if it takes any."""
    known = inspect.signature(estimator).parameters
    named = {name for name, one in known.items() if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    return named | set(asked) if any(one.kind is one.VAR_KEYWORD for one in known.values()) else named


def resolved_parameters(candidate: Candidate, problem: Problem | None = None) -> dict[str, Scalar]:
    """Return the arguments of a candidate's estimator: our defaults, overridden by the candidate's parameters.

    Parameters
    ----------
    problem : Problem, optional
        Whose task and definitions folder tell which estimator it is; by default a regression.

    Raises
    ------
    DefinitionError
        A parameter is not one of the estimator's, or is not the definition's to set.
    """
    problem = problem or Problem()
    defaults: dict[str, Scalar] = {}
    if candidate.estimator is None:
        algorithm = _BUILT_IN[candidate.algorithm]
        defaults = algorithm.defaults
        known, ours = set(algorithm.estimator(problem)().get_params()), set(_OURS)
    else:
        known = _takes(
            estimator_class(candidate.estimator, problem.estimators), (*candidate.parameters, *candidate.space)
        )
        ours = set(_OURS_OF_CUSTOM)
    for name in (*candidate.parameters, *candidate.space):
        _check_name(candidate, "space" if name in candidate.space else "parameters", name, known, ours)
    if candidate.algorithm == "random_forest" and candidate.parameters.get("criterion") == _NO_GAPS:
        raise DefinitionError(
            f"candidate {candidate.name!r}: parameters.criterion: {_NO_GAPS} knows no missing values; "
            "take squared_error or another algorithm"
        )
    return {**defaults, **candidate.parameters}


def _check_name(candidate: Candidate, table: str, name: str, known: set[str], ours: set[str]) -> None:
    place = f"candidate {candidate.name!r}: {table}.{name}"
    if name in ours:
        raise DefinitionError(f"{place}: take it out, {_OURS[name]}")
    if name not in known:
        what = candidate.estimator or candidate.algorithm
        allowed = ", ".join(sorted(known - ours)) or "none"
        raise DefinitionError(f"{place}: {what} has no such parameter; it has {allowed}")
