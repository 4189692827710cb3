"""Turning a fitted estimator into an ONNX file, in double precision throughout.

skl2onnx does not serve here: its trees are float32 (a value on a threshold takes the wrong branch) and its imputer has
no double kernel in onnxruntime. Every algorithm is a handful of standard operators, which stand here as they are.
The file depends on the estimator alone: names, versions and producer are fixed, so equal fits give equal bytes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from perennial.training.candidates import Fitted
from perennial.training.export_custom import export_custom
from perennial.training.export_trees import boosting, forest
from perennial.training.graph import Graph, end_in_probabilities, to_bytes
from perennial.training.preprocessing import BOOLEANS, CATEGORIES, ESTIMATE, NUMBERS, PREPARE
from perennial.training.scoring import INPUT, OUTPUT

_GRAPHS = {
    HistGradientBoostingRegressor: boosting,
    HistGradientBoostingClassifier: boosting,
    RandomForestRegressor: forest,
    RandomForestClassifier: forest,
    # Not offered by name; a custom candidate may name them.
    ExtraTreesRegressor: forest,
    ExtraTreesClassifier: forest,
}


_PLAIN = ((), (SimpleImputer,), (StandardScaler,), (SimpleImputer, StandardScaler))
"""What may stand before a linear model that is exported as it is."""


def export(fitted: Fitted) -> bytes:
    """Return the ONNX file of what ``perennial.training.candidates.fit`` has fitted.

    The model has the input ``features`` (float64, shape (n, number of features), NaN for missing) and the output
    ``prediction`` (float64), and gives what ``perennial.training.candidates.predict`` gives but for rounding: shape
    (n, 1) of a regression and of a binary task (the probability of true), else (n, number of classes).

    Raises
    ------
    DefinitionError
        A custom estimator has no ONNX form, or not one of these shapes.
    """
    problem, estimator = fitted.problem, fitted.estimator
    seen = [] if problem.task == "regression" else fitted.classes
    graph = Graph()
    # A subclass may predict otherwise than its base, so it is not taken for one.
    draw = _GRAPHS.get(type(estimator))
    if draw is not None:
        draw(graph, estimator, problem, seen)
    elif fitted.candidate.estimator is None:
        _linear(graph, fitted, seen)
    elif (steps := _plain_steps(estimator)) is not None:
        _weighted(graph, _plainly_prepared(graph, steps[:-1]), fitted, steps[-1], seen)
    else:
        return export_custom(fitted)
    return to_bytes(graph, fitted.features, problem.classes or 1)


def _linear(graph: Graph, fitted: Fitted, seen: list[int]) -> None:
    """Preparation and a weighted sum, in the order and the arithmetic of scikit-learn; of classes, its inverse link."""
    pipeline: Pipeline = fitted.estimator
    prepared = _prepared(graph, pipeline.named_steps[PREPARE], fitted.features)
    _weighted(graph, prepared, fitted, pipeline.named_steps[ESTIMATE], seen)


def _weighted(graph: Graph, prepared: str, fitted: Fitted, estimator: Any, seen: list[int]) -> None:
    """Sum prepared columns by weight; of classes, through the inverse link."""
    weights = np.atleast_2d(estimator.coef_).T
    weighted = graph.apply("MatMul", prepared, graph.constant("weights", weights), to="weighted")
    intercept = graph.constant("intercept", np.reshape(estimator.intercept_, (-1,)))
    if fitted.problem.task == "regression":
        graph.apply("Add", weighted, intercept, to=OUTPUT)
        return
    raw = graph.apply("Add", weighted, intercept, to="raw")
    if len(seen) == 2:
        found = graph.apply("Sigmoid", raw, to="sigmoid")
    else:
        found = graph.apply("Softmax", raw, to="softmax", axis=1)
    end_in_probabilities(graph, found, seen, fitted.problem.classes)


def _plain_steps(estimator: Any) -> list[Any] | None:
    """Return the steps of a linear model, alone or behind imputation and scaling of all columns; None of any other.

    skl2onnx would take them in single precision, as onnxruntime imputes in no other.
    """
    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    *preparing, last = steps
    if type(last) not in (LinearRegression, LogisticRegression, Ridge):
        return None
    if [type(step) for step in preparing] not in (
        [],
        [SimpleImputer],
        [StandardScaler],
        [SimpleImputer, StandardScaler],
    ):
        return None
    # A column without any value is left out by the imputer, which moves those behind it.
    whole = all(
        isinstance(step.missing_values, float) and not step.add_indicator and not np.isnan(step.statistics_).any()
        if isinstance(step, SimpleImputer)
        else step.mean_ is not None and step.scale_ is not None
        for step in preparing
    )
    return steps if whole else None


def _plainly_prepared(graph: Graph, preparing: list[Any]) -> str:
    prepared = INPUT
    for step in preparing:
        if isinstance(step, SimpleImputer):
            missing = graph.apply("IsNaN", prepared, to="missing")
            prepared = graph.apply("Where", missing, graph.constant("fill", step.statistics_), prepared, to="filled")
        else:
            centred = graph.apply("Sub", prepared, graph.constant("means", step.mean_), to="centred")
            prepared = graph.apply("Div", centred, graph.constant("scales", step.scale_), to="scaled")
    return prepared


def _prepared(graph: Graph, preparation: Any, features: int) -> str:
    """Prepare each kind of feature and put the columns side by side."""
    parts = {name: (transformer, list(places)) for name, transformer, places in preparation.transformers_}
    found = []
    if NUMBERS in parts:
        transformer, places = parts[NUMBERS]
        imputer, scaler = (transformer.named_steps[name] for name in ("impute", "scale"))
        filled = _filled(graph, places, features, imputer.statistics_, "numbers")
        centred = graph.apply("Sub", filled, graph.constant("means", scaler.mean_), to="centred")
        found.append(graph.apply("Div", centred, graph.constant("scales", scaler.scale_), to="scaled"))
    if BOOLEANS in parts:
        imputer, places = parts[BOOLEANS]
        found.append(_filled(graph, places, features, imputer.statistics_, "booleans"))
    if CATEGORIES in parts:
        encoder, places = parts[CATEGORIES]
        for place, categories in zip(places, encoder.categories_, strict=True):
            column = graph.columns(INPUT, [place], f"category_{place}")
            known = graph.constant(f"categories_{place}", np.reshape(categories, (1, -1)))
            # NaN equals nothing, so a missing category is 0 throughout, as an unknown one is.
            found.append(graph.one_if_equal(column, known, f"one_hot_{place}"))
    return found[0] if len(found) == 1 else graph.apply("Concat", *found, to="prepared", axis=1)


def _filled(graph: Graph, places: list[int], features: int, values: Any, name: str) -> str:
    """Take columns, with a value where one is missing."""
    taken = INPUT if places == list(range(features)) else graph.columns(INPUT, places, name)
    missing = graph.apply("IsNaN", taken, to=f"{name}_missing")
    return graph.apply("Where", missing, graph.constant(f"{name}_filling", values), taken, to=f"{name}_filled")
