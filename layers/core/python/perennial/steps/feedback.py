"""Take in what turned out to be true of earlier predictions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel, StrictBool

from perennial import keys
from perennial.data.prediction_parts import rows_of
from perennial.errors import NotFoundError, RequestError
from perennial.ports import Ports
from perennial.records import ModelVersion
from perennial.serving.ids import PredictionId, moment_of, parse_prediction_id
from perennial.serving.integrity import read_manifest
from perennial.serving.logged import LogPolicy, policy_of
from perennial.steps.prediction_log import (
    SETTLED,
    StoredLabel,
    labels_stem,
    latest_labels,
    read_labels,
    write_labels,
)

CONDITION = ("false", "true")
"""The classes of a binary model."""
CLOCK_SLACK = timedelta(minutes=1)
"""How far the clocks of two functions may differ."""
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
    unlogged: int = 0
    """Labels, of all these, whose prediction is not in the log: it is on its way there for minutes, or its version
    keeps only a share of the requests. A label whose prediction never comes there counts for nothing."""


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
    by_request, unlogged = _checked(request, _Log(ports, request.model))
    accepted = 0
    for (version, request_id), labels in by_request.items():
        accepted += _store(ports, request.model, version, request_id, labels)
    return Receipt(accepted=accepted, duplicates=len(request.labels) - accepted, unlogged=unlogged)


def _checked(request: Request, log: _Log) -> tuple[dict[tuple[int, str], dict[str, float]], int]:
    """Return the labels by version and request, and of how many the prediction is not in the log."""
    by_request: dict[tuple[int, str], dict[str, float]] = {}
    unlogged = 0
    for number, entry in enumerate(request.labels):
        place = f"labels[{number}].prediction_id"
        prediction = parse_prediction_id(entry.prediction_id, place)
        rows = log.rows(prediction)
        if prediction.row >= rows if rows else not log.may_lack(prediction):
            raise NotFoundError(f"model {request.model!r} made no prediction {entry.prediction_id!r}", place)
        unlogged += not rows
        classes = log.version(prediction.version).training_set.classes
        label = _number(entry.label, classes, f"labels[{number}].label")
        by_request.setdefault((prediction.version, prediction.request_id), {})[entry.prediction_id] = label
    return by_request, unlogged


@dataclass
class _Log:
    """What a call needs to know of a model's log and versions, each read once."""

    ports: Ports
    model: str
    _windows: dict[str, dict[str, int]] = field(default_factory=dict)
    _versions: dict[int, ModelVersion] = field(default_factory=dict)
    _policies: dict[int, LogPolicy] = field(default_factory=dict)

    def rows(self, prediction: PredictionId) -> int:
        """Return how many rows the request has that a prediction is of; 0 if the log does not hold it."""
        request_id = prediction.request_id
        window = keys.prediction_window(self.model, prediction.version, request_id, moment_of(request_id))
        if window not in self._windows:
            store = self.ports.artifacts
            self._windows[window] = rows_of([store.get(key) for key in store.keys(window)])
        return self._windows[window].get(request_id, 0)

    def may_lack(self, prediction: PredictionId) -> bool:
        """Tell whether a prediction may have been made although the log does not hold it."""
        try:
            self.version(prediction.version)
        except NotFoundError:
            return False
        age = self.ports.clock.now() - moment_of(prediction.request_id)
        if -CLOCK_SLACK <= age < SETTLED:
            return True
        return age >= SETTLED and not self.policy(prediction.version).keeps(prediction.request_id)

    def version(self, number: int) -> ModelVersion:
        """Return a version, or raise NotFoundError."""
        if number not in self._versions:
            self._versions[number] = self.ports.catalog.version(self.model, number)
        return self._versions[number]

    def policy(self, number: int) -> LogPolicy:
        """Return what a version lets be kept of its requests."""
        if number not in self._policies:
            version = self.version(number)
            manifest = read_manifest(self.ports.artifacts.get(version.manifest_key), version.manifest_sha256)
            self._policies[number] = policy_of(manifest.log.model_dump(), manifest.features)
        return self._policies[number]


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
