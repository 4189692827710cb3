"""Checking the candidates of definitions against the estimators: each learns made-up rows."""

from __future__ import annotations

import numpy as np

from perennial.definitions import Candidate, Model
from perennial.definitions.files import Definitions
from perennial.errors import DataError, DefinitionError
from perennial.training.candidates import fit, predict
from perennial.training.evaluation import parity_error
from perennial.training.export import export
from perennial.training.problem import Problem
from perennial.training.rows import Rows
from perennial.training.scoring import score

_ROWS = 1000
_CLASSES = 3
_ROWS_OF_CUSTOM = 300


def check_candidates(definitions: Definitions) -> None:
    """Check that every candidate's parameters are such as its estimator takes, and that custom ones can be served.

    A custom estimator is imported, fitted on made-up numbers as many as the model has features, exported, and its ONNX
    file compared with it.

    Raises
    ------
    DefinitionError
        The first that is not, as ``models/x.toml: …``.
    """
    for model in definitions.models.values():
        problem = Problem(
            task=model.task,
            classes=_CLASSES if model.task == "multiclass" else 0,
            estimators=definitions.estimators.folder,
        )
        for candidate in model.candidates:
            try:
                if candidate.estimator is None:
                    _check_parameters(model, candidate, problem)
                else:
                    _check_custom(model, candidate, problem)
            except (DefinitionError, DataError) as error:
                raise DefinitionError(f"models/{model.name}.toml: {error}") from None


def _check_parameters(model: Model, candidate: Candidate, problem: Problem) -> None:
    # A feature that never changes splits no tree, so that a thousand of them cost next to nothing.
    fit(candidate, _rows(np.zeros((_ROWS, 1)), problem), model.seed, problem)


def _check_custom(model: Model, candidate: Candidate, problem: Problem) -> None:
    count = sum(len(columns) for columns in model.features.values())
    features = np.random.default_rng(model.seed).normal(size=(_ROWS_OF_CUSTOM, count))
    fitted = fit(candidate, _rows(features, problem), model.seed, problem)
    expected = predict(fitted, features)
    difference = parity_error(expected, score(export(fitted), features))
    limit = model.gate.max_parity_error
    if difference > limit:
        raise DefinitionError(
            f"candidate {candidate.name!r}: {candidate.estimator}: its ONNX form differs from it by {difference:.2g} "
            f"on made-up rows, more than gate.max_parity_error {limit:g}; export it in double precision by a method "
            "to_onnx, or raise the limit"
        )


def _rows(features: np.ndarray[tuple[int, int], np.dtype[np.float64]], problem: Problem) -> Rows:
    count = len(features)
    numbers = np.arange(1.0, count + 1)
    target = {"regression": numbers, "binary": numbers % 2, "multiclass": numbers % _CLASSES}[problem.task]
    return Rows(np.zeros(count, dtype="datetime64[us]"), features, target)
