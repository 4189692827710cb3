"""What holds for the search within the ``train`` machine."""

from __future__ import annotations

from typing import Any

import pytest

from infra.functions import SHAPES
from tests.infra.synthesised import Synthesised


@pytest.fixture
def train(stack: Synthesised) -> dict[str, Any]:
    """Return the states of the machine."""
    states: dict[str, Any] = stack.machines()["train"]["States"]
    return states


def test_a_model_without_a_space_goes_from_its_training_set_to_its_candidates(train: dict[str, Any]) -> None:
    assert train["training_set"]["Next"] == train["training_set job"]["Next"] == "searches"
    (rule,) = train["searches"]["Choices"]
    assert rule["And"][1] == {"Variable": "$.admit.output.searches", "BooleanEquals": True}
    assert (rule["Next"], train["searches"]["Default"]) == ("begin search", "submitted")


def test_rounds_are_planned_until_the_search_is_done(train: dict[str, Any]) -> None:
    begin = train["begin search"]
    assert (begin["ResultPath"], begin["Result"]) == ("$.search", {"output": {"round": 0, "sha256": ""}})
    assert begin["Next"] == "search"
    request = train["search"]["Parameters"]["Payload"]
    assert request == {
        "run_id.$": "$$.Execution.Name",
        "model.$": "$.model",
        "round.$": "$.search.output.round",
        "sha256.$": "$.search.output.sha256",
    }
    (done,) = train["searched"]["Choices"]
    assert done == {"Variable": "$.search.output.done", "BooleanEquals": True, "Next": "submitted"}
    assert train["searched"]["Default"] == "several trials"


def test_a_round_is_one_array_job_but_a_single_trial_is_a_plain_one(train: dict[str, Any]) -> None:
    # AWS Batch User Guide, "Array jobs": the size is between 2 and 10,000.
    (rule,) = train["several trials"]["Choices"]
    assert (rule["Variable"], rule["NumericGreaterThan"]) == ("$.search.output.trials", 1)
    assert (rule["Next"], train["several trials"]["Default"]) == ("trials request", "trial request")
    many, one = train["trials"]["Parameters"], train["trial"]["Parameters"]
    assert many.pop("ArrayProperties") == {"Size.$": "$.search.output.trials"}
    assert many == one
    assert train["trials request"]["Parameters"] == train["search"]["Parameters"]["Payload"]
    assert train["trials"]["Next"] == train["trial"]["Next"] == "search"


def test_trials_that_die_for_good_do_not_end_the_run_but_a_job_that_is_refused_does(train: dict[str, Any]) -> None:
    for name in ("trial", "trials"):
        refused, died, other = train[name]["Catch"]
        assert {"Batch.ClientException", "Batch.BatchException", "Batch.AWSBatchException"} <= {*refused["ErrorEquals"]}
        assert refused["Next"] == other["Next"] == "fail"
        assert died == {
            "ErrorEquals": ["States.TaskFailed", "States.Timeout"],
            "ResultPath": "$.lost",
            "Next": "search",
        }
        assert train[name]["ResultPath"] == "$.job", "what was planned is still there"


def test_the_function_that_plans_has_the_layer_with_the_sampler() -> None:
    assert {verb for verb, shape in SHAPES.items() if shape.packages == "search"} == {"search"}


def test_a_job_is_told_what_a_job_is_given(dev: Synthesised, prod: Synthesised) -> None:
    for stack, size in ((dev, ("2", "8")), (prod, ("4", "16"))):
        variables = stack.functions()["search"]["Environment"]["Variables"]
        assert tuple(str(int(float(variables[f"PERENNIAL_JOB_{name}"]))) for name in ("VCPUS", "GIBIBYTES")) == size
