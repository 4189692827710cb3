"""What a definition may ask of an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perennial.definitions import Candidate
from perennial.errors import DataError, DefinitionError
from perennial.training.candidates import fit, resolved_parameters
from perennial.training.rows import Rows


def candidate(algorithm: str = "ridge", **parameters: Any) -> Candidate:
    return Candidate.model_validate({"name": "mine", "algorithm": algorithm, "parameters": parameters})


def rows(count: int = 50) -> Rows:
    rng = np.random.default_rng(0)
    return Rows(np.zeros(count, dtype="datetime64[us]"), rng.normal(size=(count, 2)), rng.normal(size=count))


def test_early_stopping_is_off_unless_the_definition_says_otherwise() -> None:
    assert resolved_parameters(candidate("hist_gradient_boosting")) == {"early_stopping": False}
    assert resolved_parameters(candidate("hist_gradient_boosting", early_stopping=True)) == {"early_stopping": True}


def test_an_unknown_parameter_is_named_with_those_there_are() -> None:
    with pytest.raises(DefinitionError, match=r"candidate 'mine': parameters.depth: ridge has no such .* has alpha, "):
        resolved_parameters(candidate(depth=3))


@pytest.mark.parametrize("name", ["random_state", "categorical_features", "warm_start"])
def test_what_is_not_the_definitions_to_set_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match=f"parameters.{name}: take it out"):
        resolved_parameters(candidate("hist_gradient_boosting", **{name: 1}))


def test_a_value_that_scikit_learn_refuses_is_a_fault_of_the_definition() -> None:
    with pytest.raises(DefinitionError, match=r"candidate 'mine': parameters: scikit-learn says: .*'alpha'"):
        fit(candidate(alpha=-1), rows(), seed=0)


def test_a_loss_that_does_not_fit_the_target_is_a_fault_of_the_definition() -> None:
    with pytest.raises(DefinitionError, match="poisson"):
        fit(candidate("hist_gradient_boosting", loss="poisson"), rows(), seed=0)


def test_learning_from_no_rows_is_refused() -> None:
    with pytest.raises(DataError, match="no training rows; lengthen its history"):
        fit(candidate(), rows(0), seed=0)
