"""Answers in the shape in which they were asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from perennial.serving.bodies import Asked
from perennial.serving.logged import Route

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


class Explanation(TypedDict):
    """How a prediction came about: ``base`` and all contributions add up to the model's raw score of the row."""

    scale: str
    """What the raw score is: ``target``, ``log`` (of the target), ``log_odds`` or ``probability``."""
    base: float | dict[str, float]
    """The raw score of a row of which nothing is known; of several classes, class to its own."""
    contributions: dict[str, float] | dict[str, dict[str, float]]
    """Feature to what its value adds; of several classes, class to its own."""


class Prediction(TypedDict, total=False):
    """The answer for one row."""

    prediction_id: str
    """What feedback is given under."""
    value: float
    """In the target's unit; of a binary model the probability that the condition holds, of several classes that of
    ``label``."""
    label: bool | str
    """Of a binary model, whether the condition is more likely than not; of several classes, the likeliest one; of
    equals, the first by name."""
    probabilities: dict[str, float]
    """Of several classes: each to its probability."""
    missing: list[str]
    """Features that the model has no value of, or one that it has not learnt; left out if there are none."""
    explanation: Explanation
    """If it was asked for."""


@dataclass(frozen=True)
class Answer:
    """The answer for a request."""

    model: str
    version: int
    route: Route
    """Why this version answers."""
    predictions: list[Prediction]


def render(answer: Answer, asked: Asked) -> str:
    """Return an answer as JSON, in the shape of what was asked."""
    if asked.shape == "tensors":
        return _encode(_tensors(answer, asked))
    head = {"model": answer.model, "version": answer.version, "route": answer.route}
    if asked.shape == "instances":
        return _encode({**head, "predictions": answer.predictions})
    return _encode({**head, **_dataframe(answer.predictions)})


def _dataframe(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return predictions as MLflow's servers answer: a plain list, of classes their labels; the rest stands beside."""
    columns: dict[str, Any] = {
        "predictions": [said.get("label", said["value"]) for said in predictions],
        "prediction_ids": [said["prediction_id"] for said in predictions],
    }
    if any("label" in said for said in predictions):
        columns["probabilities"] = [said.get("probabilities", said["value"]) for said in predictions]
    if any("missing" in said for said in predictions):
        columns["missing"] = [said.get("missing", []) for said in predictions]
    if any("explanation" in said for said in predictions):
        columns["explanations"] = [said["explanation"] for said in predictions]
    return columns


def _tensors(answer: Answer, asked: Asked) -> dict[str, Any]:
    """Return an inference response of the Open Inference Protocol."""
    tensors = [
        tensor for tensor in _outputs(answer.predictions) if asked.outputs is None or tensor["name"] in asked.outputs
    ]
    response: dict[str, Any] = {"model_name": answer.model, "model_version": str(answer.version)}
    if asked.name is not None:
        response["id"] = asked.name
    return {**response, "parameters": {"route": answer.route}, "outputs": tensors}


def _outputs(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    rows = len(predictions)
    first = predictions[0]
    tensors = [
        _tensor("prediction_id", [rows], "BYTES", [said["prediction_id"] for said in predictions]),
        _tensor("value", [rows], "FP64", [said["value"] for said in predictions]),
    ]
    if "label" in first:
        kind = "BOOL" if isinstance(first["label"], bool) else "BYTES"
        tensors.append(_tensor("label", [rows], kind, [said["label"] for said in predictions]))
    if "probabilities" in first:
        classes = list(first["probabilities"])
        flat = [chance for said in predictions for chance in said["probabilities"].values()]
        tensors.append(_tensor("probabilities", [rows, len(classes)], "FP64", flat, classes=",".join(classes)))
    if any("missing" in said for said in predictions):
        tensors.append(_tensor("missing", [rows], "BYTES", [",".join(said.get("missing", ())) for said in predictions]))
    if "explanation" in first:
        tensors += _explained([said["explanation"] for said in predictions])
    return tensors


def _explained(explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
    """Return the tensors of explanations: of several classes, there is a dimension more for these."""
    rows, first = len(explanations), explanations[0]
    bases: list[Any] = [each["base"] for each in explanations]
    parts: list[Any] = [each["contributions"] for each in explanations]
    about: dict[str, str] = {"scale": first["scale"]}
    shape = [rows]
    if isinstance(first["base"], dict):
        about["classes"] = ",".join(first["base"])
        shape.append(len(first["base"]))
        bases = [base for each in bases for base in each.values()]
        parts = [part for each in parts for part in each.values()]
    features = list(parts[0])
    return [
        _tensor("base", shape, "FP64", bases, **about),
        _tensor(
            "contributions",
            [*shape, len(features)],
            "FP64",
            [value for part in parts for value in part.values()],
            **about,
            features=",".join(features),
        ),
    ]


def _tensor(name: str, shape: list[int], datatype: str, data: list[Any], **parameters: str) -> dict[str, Any]:
    tensor: dict[str, Any] = {"name": name, "shape": shape, "datatype": datatype}
    return {**tensor, **({"parameters": parameters} if parameters else {}), "data": data}
