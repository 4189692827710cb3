"""What stands before an estimator that takes neither missing values nor categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from perennial.training.problem import Problem

Matrix = npt.NDArray[np.float64]
PREPARE, ESTIMATE = "prepare", "estimate"
"""Names of the pipeline's steps."""
NUMBERS, BOOLEANS, CATEGORIES = "numbers", "booleans", "categories"
"""Names of the parts of the first step, in the order in which their columns follow one another."""


def with_preparation(estimator: Any, problem: Problem, features: int) -> Pipeline:
    """Return a pipeline that prepares each kind of feature and then estimates.

    Numbers: the median where missing, then mean 0 and variance 1. Booleans: the most frequent value where missing.
    Categories: a column of 0 and 1 for each; a missing or unknown value has 0 in all of them.
    """
    others = [place for place in range(features) if place not in problem.categorical]
    numbers = [place for place in others if place not in problem.boolean]
    booleans = [place for place in others if place in problem.boolean]
    categorical = sorted(problem.categorical)
    one_hot = OneHotEncoder(
        categories=[np.arange(float(problem.categorical[place])) for place in categorical],
        handle_unknown="ignore",
        sparse_output=False,
    )
    scaled = Pipeline([("impute", SimpleImputer(strategy="median")), ("scale", StandardScaler())])
    parts = [
        (NUMBERS, scaled, numbers),
        (BOOLEANS, SimpleImputer(strategy="most_frequent"), booleans),
        (CATEGORIES, one_hot, categorical),
    ]
    preparation = ColumnTransformer([part for part in parts if part[2]])
    return Pipeline([(PREPARE, preparation), (ESTIMATE, estimator)])


def learnable(features: Matrix) -> Matrix:
    """Return the features with 0 throughout every column that holds no value at all.

    Such a column (a stored view whose values are not known yet) teaches nothing, and a constant says so to every
    algorithm: no weight, no split. Left as it is, the imputer drops it and the trees' binning raises.
    """
    empty = np.isnan(features).all(axis=0)
    return np.where(empty, 0.0, features) if empty.any() else features
