"""Reading the prediction log, and the labels beside it: objects that are written once and never changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from perennial import keys
from perennial.data.prediction_parts import find_row
from perennial.ports import ObjectStore
from perennial.serving.ids import PredictionId, moment_of

SETTLED = timedelta(minutes=15)
"""After this time a prediction that is not in the log is lost: CloudWatch Logs and its retries take minutes."""
JSON_LINES = "application/x-ndjson"
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


@dataclass(frozen=True)
class StoredLabel:
    """One line of a labels object."""

    prediction_id: str
    label: float
    """In the target's unit; 0 or 1; or the place of a class."""
    at: datetime


@dataclass(frozen=True)
class FoundPrediction:
    """What the log holds of a prediction."""

    prediction_id: str
    version: int
    part: str
    """Key of the object that holds it."""
    at: datetime
    route: str
    """Why the version saw the request: ``champion``, ``canary``, ``shadow`` or ``named``."""
    milliseconds: float
    """Of the whole request."""
    error: str
    """Name of the error by which the version failed, empty if it did not."""
    inputs: dict[str, Any]
    """As the request brought them, without those that the version masks; decimals and moments are texts."""
    features: dict[str, float | None]
    """Of a categorical feature its place among the version's categories."""
    value: float | None
    """In the target's unit; the probability of ``true``; or the place of the likeliest class."""
    probabilities: list[float] | None
    """Of several classes, in their order."""


def find_prediction(store: ObjectStore, model: str, prediction: PredictionId) -> FoundPrediction | None:
    """Look a prediction up by its id alone: one list call, and the few parts of half a minute.

    None means that no version of the model made it, that its version does not keep all requests, or that it is not in
    the log yet: that takes minutes.
    """
    at = moment_of(prediction.request_id)
    for key in store.keys(keys.prediction_window(model, prediction.version, prediction.request_id, at)):
        found = find_row(store.get(key), prediction.request_id, prediction.row)
        if found is not None:
            return FoundPrediction(
                prediction_id=str(prediction),
                version=prediction.version,
                part=key,
                at=found.answered_at.replace(tzinfo=UTC),
                route=found.route,
                milliseconds=found.milliseconds,
                error=found.error,
                inputs=found.inputs,
                features=found.features,
                value=found.prediction,
                probabilities=found.probabilities,
            )
    return None


def parts_of(listed: Iterable[str]) -> Iterator[str]:
    """Yield those keys that are parts: versions of before may have a log of another form beside them."""
    return (key for key in listed if key.endswith(".parquet"))


def window_of(key: str) -> tuple[str, str]:
    """Return the day and the beginning of the request ids that a part's key tells."""
    folder, _, name = key.rpartition("/")
    return folder.rpartition("date=")[2], name.partition("-")[0]


def rows_in(key: str) -> int:
    """Return how many rows a part has, as its key tells."""
    return int(key.rpartition("/")[2].split("-")[1])


def labels_stem(model: str, version: int, request_id: str) -> str:
    """Return the beginning that the keys of all labels objects of a request share."""
    return keys.labels(model, version, request_id, "", moment_of(request_id)).removesuffix(".jsonl")


def write_labels(store: ObjectStore, key: str, labels: Iterable[StoredLabel]) -> None:
    """Write a labels object."""
    content = (
        _encode({"prediction_id": label.prediction_id, "label": label.label, "at": label.at.isoformat()})
        for label in labels
    )
    store.put(key, _join(content), JSON_LINES)


def read_labels(store: ObjectStore, key: str) -> list[StoredLabel]:
    """Return the lines of a labels object, or raise NotFoundError."""
    return parse_labels(store.get(key))


def parse_labels(content: bytes) -> list[StoredLabel]:
    """Return the lines of a labels object."""
    lines = (json.loads(line) for line in content.splitlines())
    return [StoredLabel(line["prediction_id"], line["label"], datetime.fromisoformat(line["at"])) for line in lines]


def latest_labels(labels: Iterable[StoredLabel]) -> dict[str, StoredLabel]:
    """Return the label that counts of each prediction: the latest."""
    latest: dict[str, StoredLabel] = {}
    for label in labels:
        known = latest.setdefault(label.prediction_id, label)
        if (label.at, label.label) > (known.at, known.label):
            latest[label.prediction_id] = label
    return latest


def newest_first(store: ObjectStore, prefix: str, since: date, until: date, days: int = 7) -> Iterator[str]:
    """Walk the keys under ``<prefix>date=YYYY-MM-DD/`` backwards in time, listing no more than is asked for.

    The latest days are listed one by one, what lies before them by the month: a busy version costs a list call a
    day, a sleepy one a list call a month.

    Parameters
    ----------
    since, until : datetime.date
        First and last day that can have keys.
    days : int
        How many days are listed one by one.
    """
    first = max(since, until - timedelta(days=days - 1))
    day = until
    while day >= first:
        yield from reversed(store.keys(f"{prefix}date={day.isoformat()}/"))
        day -= timedelta(days=1)
    if since == first:
        return
    listed = f"{prefix}date={first.isoformat()}/"
    year, month = first.year, first.month
    while (year, month) >= (since.year, since.month):
        yield from (key for key in reversed(store.keys(f"{prefix}date={year:04d}-{month:02d}-")) if key < listed)
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)


def request_id_of(key: str) -> str:
    """Return the request id in the key of a labels object."""
    return key.rpartition("/")[2].partition("-")[0]


def _join(lines: Iterable[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()
