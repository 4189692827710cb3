"""The bodies as models: the same fields as what reads and writes them."""

from __future__ import annotations

from perennial.openapi import bodies
from perennial.serving import answers
from perennial.serving.payload import MAX_ROWS
from perennial.serving.tensors import DATATYPES, OUTPUTS


def test_an_answer_is_told_with_the_fields_that_it_has() -> None:
    assert set(bodies.Prediction.model_fields) == set(answers.Prediction.__annotations__)
    assert set(bodies.Explanation.model_fields) == set(answers.Explanation.__annotations__)
    assert set(bodies.Answer.model_fields) == set(answers.Answer.__annotations__)


def test_no_list_of_rows_may_be_longer_than_a_call_takes() -> None:
    for model, key in ((bodies.Instances, "instances"), (bodies.Records, "dataframe_records"), (bodies.Split, "data")):
        told = model.model_json_schema()["properties"][key]
        assert (told["minItems"], told["maxItems"]) == (1, MAX_ROWS)


def test_tensors_are_told_with_the_types_and_names_that_are_understood() -> None:
    assert bodies.InferTensor.model_json_schema()["properties"]["datatype"]["enum"] == list(DATATYPES)
    assert bodies.InferOutputAsked.model_json_schema()["properties"]["name"]["enum"] == list(OUTPUTS)
