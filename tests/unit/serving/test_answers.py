"""One answer in each of the shapes in which it can be asked for."""

from __future__ import annotations

import json
import math
from typing import Any

from perennial.serving.answers import Answer, Prediction, render
from perennial.serving.bodies import Asked

NUMBERS: list[Prediction] = [
    {"prediction_id": "3-R-0", "value": 1.5},
    {"prediction_id": "3-R-1", "value": 2.5, "missing": ["v__a", "v__b"]},
]
CLASSES: list[Prediction] = [
    {"prediction_id": "3-R-0", "label": "b", "value": 0.75, "probabilities": {"a": 0.25, "b": 0.75}},
    {"prediction_id": "3-R-1", "label": "a", "value": 0.5, "probabilities": {"a": 0.5, "b": 0.5}},
]
CONDITION: list[Prediction] = [
    {
        "prediction_id": "3-R-0",
        "label": True,
        "value": 0.75,
        "explanation": {"scale": "log_odds", "base": 0.5, "contributions": {"v__a": 0.25, "v__b": -0.125}},
    }
]


def told(predictions: list[Prediction], **asked: Any) -> Any:
    return json.loads(render(Answer("fare", 3, "canary", predictions), Asked([], **asked)))


def test_instances_are_answered_one_by_one() -> None:
    assert told(NUMBERS, shape="instances") == {
        "model": "fare",
        "version": 3,
        "route": "canary",
        "predictions": NUMBERS,
    }


def test_a_dataframe_is_answered_by_lists_as_mlflow_does() -> None:
    head = {"model": "fare", "version": 3, "route": "canary", "prediction_ids": ["3-R-0", "3-R-1"]}
    numbers = told(NUMBERS, shape="dataframe")
    assert numbers == {**head, "predictions": [1.5, 2.5], "missing": [[], ["v__a", "v__b"]]}
    classes = told(CLASSES, shape="dataframe")
    probabilities = [said["probabilities"] for said in CLASSES]
    assert classes == {**head, "predictions": ["b", "a"], "probabilities": probabilities}
    condition = told(CONDITION, shape="dataframe")
    assert (condition["predictions"], condition["probabilities"]) == ([True], [0.75])
    assert condition["explanations"] == [CONDITION[0]["explanation"]]


def tensors(predictions: list[Prediction], **asked: Any) -> dict[str, Any]:
    outputs = told(predictions, shape="tensors", **asked)["outputs"]
    for output in outputs:
        assert len(output["data"]) == math.prod(output["shape"]), output
    return {output["name"]: output for output in outputs}


def test_tensors_are_answered_by_tensors_under_the_callers_name() -> None:
    whole = told(NUMBERS, shape="tensors", name="mine")
    assert {name: whole[name] for name in ("id", "model_name", "model_version", "parameters")} == {
        "id": "mine",
        "model_name": "fare",
        "model_version": "3",
        "parameters": {"route": "canary"},
    }
    assert "id" not in told(NUMBERS, shape="tensors")
    found = tensors(NUMBERS)
    assert list(found) == ["prediction_id", "value", "missing"]
    assert found["value"] == {"name": "value", "shape": [2], "datatype": "FP64", "data": [1.5, 2.5]}
    assert found["missing"]["data"] == ["", "v__a,v__b"]


def test_classes_have_a_dimension_and_their_names() -> None:
    found = tensors(CLASSES)
    assert found["label"] == {"name": "label", "shape": [2], "datatype": "BYTES", "data": ["b", "a"]}
    assert found["probabilities"]["shape"] == [2, 2]
    assert found["probabilities"]["data"] == [0.25, 0.75, 0.5, 0.5]
    assert found["probabilities"]["parameters"] == {"classes": "a,b"}


def test_the_tensors_that_are_asked_for_alone_are_answered() -> None:
    assert list(tensors(CLASSES, outputs=("label", "contributions"))) == ["label"]


def test_an_explanation_is_two_tensors() -> None:
    found = tensors(CONDITION)
    assert found["label"]["datatype"] == "BOOL"
    assert found["base"]["data"] == [0.5]
    assert found["contributions"]["data"] == [0.25, -0.125]
    assert found["contributions"]["parameters"] == {"scale": "log_odds", "features": "v__a,v__b"}


def test_an_explanation_of_several_classes_has_a_dimension_more() -> None:
    parts = {"a": {"v__a": 1.0, "v__b": 2.0}, "b": {"v__a": 3.0, "v__b": 4.0}}
    explained: Prediction = {
        **CLASSES[0],
        "explanation": {"scale": "log_odds", "base": {"a": 0.5, "b": 0.25}, "contributions": parts},
    }
    found = tensors([explained, explained])
    assert (found["base"]["shape"], found["base"]["data"]) == ([2, 2], [0.5, 0.25] * 2)
    assert (found["contributions"]["shape"], found["contributions"]["data"]) == ([2, 2, 2], [1.0, 2.0, 3.0, 4.0] * 2)
    assert found["contributions"]["parameters"]["classes"] == "a,b"
