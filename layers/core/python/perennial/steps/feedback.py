"""Take in what turned out to be true of earlier predictions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, StrictBool

from perennial import keys
from perennial.errors import NotFoundError, RequestError
from perennial.ports import Ports
from perennial.serving.ids import PredictionId, moment_of, parse_prediction_id
from perennial.steps.prediction_log import (
    StoredLabel,
    labels_stem,
    latest_labels,
    log_key,
    read_labels,
    read_predictions,
    write_labels,
)

CONDITION = ("false", "true")
"""The classes of a binary model."""
SHOWN = 20
"""Classes that a refusal names."""


class LabelledPrediction(BaseModel):
    """One label."""

    prediction_id: str
    label: StrictBool | float | str
    """A number; of a binary model true, false, 1 or 0; of several classes the text of one."""


class Request(BaseModel):
    """Labels of predictions of one model."""

    model: str
    labels: list[LabelledPrediction]


class Receipt(BaseModel):
    """What became of them."""

    accepted: int
    """Labels that were stored."""
    duplicates: int
    """Labels that were known already, with the same value."""


def run(request: Request, ports: Ports) -> Receipt:
    """Store labels beside the prediction log; the same call again changes nothing.

    All ids are checked before any label is stored. A later label of the same prediction replaces the earlier one.

    Raises
    ------
    NotFoundError
        The model made no such prediction; ``field`` names the label.
    RequestError
        The label is nothing that the model's version could have predicted; ``field`` names it.
    """
    accepted = 0
    for (version, request_id), labels in _checked(request, ports).items():
        accepted += _store(ports, request.model, version, request_id, labels)
    return Receipt(accepted=accepted, duplicates=len(request.labels) - accepted)


def _checked(request: Request, ports: Ports) -> dict[tuple[int, str], dict[str, float]]:
    """Return the labels by version and request, each of a prediction that is in the log (read once per request)."""
    by_request: dict[tuple[int, str], dict[str, float]] = {}
    logged: dict[tuple[int, str], int] = {}
    classes: dict[int, tuple[str, ...]] = {}
    for number, entry in enumerate(request.labels):
        field = f"labels[{number}].prediction_id"
        prediction = parse_prediction_id(entry.prediction_id, field)
        call = (prediction.version, prediction.request_id)
        if call not in logged:
            logged[call] = _rows_logged(ports, request.model, prediction)
        if prediction.row >= logged[call]:
            raise NotFoundError(f"model {request.model!r} made no prediction {entry.prediction_id!r}", field)
        if prediction.version not in classes:
            version = ports.catalog.version(request.model, prediction.version)
            classes[prediction.version] = version.training_set.classes
        label = _number(entry.label, classes[prediction.version], f"labels[{number}].label")
        by_request.setdefault(call, {})[entry.prediction_id] = label
    return by_request


def _number(label: bool | float | str, classes: Sequence[str], field: str) -> float:
    """Return a label as it is stored: a number, or the place of a class.

    A class that the version never learnt is refused: it could not have been predicted, and the next training set
    learns of it from the data.
    """
    if not classes:
        if isinstance(label, bool | str):
            raise RequestError(f"{field} must be a number", field)
        return label
    if classes == CONDITION and label not in CONDITION:
        if label not in (0, 1):
            raise RequestError(f"{field} must be true or false, or 1 or 0, not {label!r}", field)
        return float(label)
    if label not in classes:
        some = ", ".join(map(repr, classes[:SHOWN])) + (", …" if len(classes) > SHOWN else "")
        raise RequestError(f"{field} must be one of the version's classes, {some}", field)
    return float(classes.index(str(label)))


def _rows_logged(ports: Ports, model: str, prediction: PredictionId) -> int:
    try:
        return len(read_predictions(ports.artifacts, log_key(model, prediction.version, prediction.request_id)))
    except NotFoundError:
        return 0


def _store(ports: Ports, model: str, version: int, request_id: str, labels: Mapping[str, float]) -> int:
    """Write those labels of one request that are news; return how many.

    The object's address is made of the labels and of what was stored before, so a repeated or racing call writes
    the same object, and yet a label may be corrected back to what it once was.
    """
    before = ports.artifacts.keys(labels_stem(model, version, request_id))
    current = latest_labels(label for key in before for label in read_labels(ports.artifacts, key))
    news = {name: label for name, label in labels.items() if name not in current or current[name].label != label}
    if not news:
        return 0
    # Never at the same moment as what it replaces: the latest label counts.
    latest = max((label.at for label in current.values()), default=None)
    at = _after(ports.clock.now(), latest)
    content = json.dumps([sorted(news.items()), before])
    address = hashlib.sha256(content.encode()).hexdigest()[:32]
    key = keys.labels(model, version, request_id, address, moment_of(request_id))
    write_labels(ports.artifacts, key, [StoredLabel(name, label, at) for name, label in sorted(news.items())])
    return len(news)


def _after(now: datetime, latest: datetime | None) -> datetime:
    return now if latest is None or now > latest else latest + timedelta(microseconds=1)
