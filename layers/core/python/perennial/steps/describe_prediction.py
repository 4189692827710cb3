"""Tell of one prediction what was seen, what was said, by which version, and what turned out to be true."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from perennial.errors import NotFoundError
from perennial.ports import Ports
from perennial.serving.ids import PredictionId, parse_prediction_id
from perennial.steps.describe import Described, find_version, read_manifest
from perennial.steps.prediction_log import FoundPrediction, find_prediction, labels_stem, latest_labels, read_labels

BINARY = 2
"""Classes of a model that tells whether a condition holds."""


class ToldLabel(Described):
    """What turned out to be true."""

    label: bool | float | str
    at: datetime
    """When it was told."""


class PredictionDetail(Described):
    """One prediction."""

    prediction_id: str
    model: str
    version: int
    at: datetime
    """When it was asked for."""
    route: str
    """Why the version saw the request: ``champion``, ``canary``, ``shadow`` or ``named``."""
    milliseconds: float
    """Of the whole request."""
    error: str
    """Name of the error by which the version failed, empty if it did not."""
    inputs: dict[str, Any]
    """What the request brought, without the columns that the dataset has masked."""
    features: dict[str, float | None]
    """What the version saw; of a categorical feature the place among its categories, null where it is missing."""
    value: float | None
    """In the target's unit; the probability of ``true``, or of ``label``."""
    label: bool | str | None
    """What a classifier said."""
    probabilities: dict[str, float] | None
    """Of several classes."""
    told: ToldLabel | None
    """What turned out to be true, if somebody told."""


def prediction(ports: Ports, text: str, model: str | None = None) -> PredictionDetail:
    """Show a prediction.

    Parameters
    ----------
    text : str
        The prediction id.
    model : str or None
        The model that predicted; None looks through all of them, as the id does not name it.

    Raises
    ------
    NotFoundError
        No model logged it: it has not come to the log yet, is not among the share that is kept, or was deleted.
    """
    asked = parse_prediction_id(text, "prediction_id")
    for name in [model] if model is not None else ports.catalog.models():
        found = find_prediction(ports.artifacts, name, asked)
        if found is not None:
            return _detail(ports, name, asked, found)
    raise NotFoundError(
        f"no model logged a prediction {asked}; it takes minutes to come to the log, a model may keep a share only, "
        "and its log may have been deleted",
        "prediction_id",
    )


def _detail(ports: Ports, model: str, asked: PredictionId, found: FoundPrediction) -> PredictionDetail:
    classes = read_manifest(ports, find_version(ports, model, asked.version)).classes
    value, chances = found.value, found.probabilities
    label: bool | str | None = None
    if value is not None and chances is not None:
        label, value = classes[int(value)], chances[int(value)]
    elif value is not None and len(classes) == BINARY:
        label = value > 0.5
    stem = labels_stem(model, asked.version, asked.request_id)
    labels = latest_labels(one for key in ports.artifacts.keys(stem) for one in read_labels(ports.artifacts, key))
    told = labels.get(str(asked))
    return PredictionDetail(
        prediction_id=str(asked),
        model=model,
        version=asked.version,
        at=found.at,
        route=found.route,
        milliseconds=found.milliseconds,
        error=found.error,
        inputs=found.inputs,
        features=found.features,
        value=value,
        label=label,
        probabilities=None if chances is None else dict(zip(classes, chances, strict=True)),
        told=None if told is None else ToldLabel(label=_as_told(told.label, classes), at=told.at),
    )


def _as_told(label: float, classes: Sequence[str]) -> bool | float | str:
    """Return a stored label as a caller writes it (see `perennial.steps.feedback`)."""
    if not classes:
        return label
    return bool(label) if len(classes) == BINARY else classes[int(label)]
