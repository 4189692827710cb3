"""What is wrong with a candidate is said before anything is deployed."""

from __future__ import annotations

from typing import Any

import pytest

from perennial.definitions import Model
from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError
from perennial.training.check import check_candidates


def definitions(**parameters: Any) -> Definitions:
    content = {
        "name": "rent",
        "dataset": "flats",
        "target": "rent",
        "features": {"flat": ["area"]},
        "split": {"holdout": "1 day"},
        "candidates": [
            {"name": "plain", "algorithm": "ridge"},
            {"name": "trees", "algorithm": "hist_gradient_boosting", "parameters": parameters},
        ],
    }
    return Definitions(datasets={}, views={}, models={"rent": Model.model_validate(content)})


@pytest.mark.parametrize(
    "parameters", [{}, {"max_iter": 3000}, {"early_stopping": True}, {"loss": "poisson"}, {"validation_fraction": 0.2}]
)
def test_parameters_that_the_estimator_takes_are_accepted(parameters: dict[str, Any]) -> None:
    check_candidates(definitions(**parameters))


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"max_iters": 50}, r"parameters\.max_iters: hist_gradient_boosting has no such parameter"),
        ({"max_iter": "fifty"}, "scikit-learn says: .*'max_iter'"),
        ({"max_iter": -1}, "scikit-learn says: .*'max_iter'"),
        ({"loss": "quantile"}, "scikit-learn says: .*quantile"),
        ({"random_state": 3}, r"parameters\.random_state: take it out"),
    ],
)
def test_a_parameter_that_it_does_not_take_is_named_with_its_file(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DefinitionError, match=rf"^models/rent\.toml: candidate 'trees': .*{sentence}"):
        check_candidates(definitions(**parameters))
