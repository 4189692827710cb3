"""The prediction log and the labels beside it: JSON Lines objects that are written once and never changed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from perennial import keys
from perennial.serving.ids import PredictionId, moment_of

if TYPE_CHECKING:
    from perennial.ports import ObjectStore
    from perennial.serving.logged import LoggedRequest
    from perennial.serving.ports import Artifacts

JSON_LINES = "application/x-ndjson"
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


@dataclass(frozen=True)
class LoggedPrediction:
    """One line of the log, as far as the monitor and feedback need it."""

    prediction_id: str
    features: dict[str, float | None]
    """Feature column to its value; of a categorical one its place among the version's categories."""
    prediction: float
    """In the target's unit; the probability of ``true``; or the place of the likeliest class."""
    probabilities: tuple[float, ...] | None = None
    """Of several classes, in their order."""


@dataclass(frozen=True)
class StoredLabel:
    """One line of a labels object."""

    prediction_id: str
    label: float
    """In the target's unit; 0 or 1; or the place of a class."""
    at: datetime


def write_predictions(store: Artifacts, logged: LoggedRequest, names: Sequence[str]) -> None:
    """Write the log object of one request."""
    count = len(logged.values)
    moment = logged.at.isoformat()
    inputs = _rows({name: [_as_json(value) for value in values] for name, values in logged.inputs.items()}, count)
    features = ([None if math.isnan(value) else value for value in row] for row in logged.features)
    read = (dict(zip(names, row, strict=True)) for row in features)
    told = [{}] * count if logged.probabilities is None else [{"probabilities": p} for p in logged.probabilities]
    lines = (
        {
            "prediction_id": str(PredictionId(logged.version, logged.request_id, row)),
            "at": moment,
            "row": row,
            "inputs": brought,
            "features": seen,
            "prediction": value,
            **chances,
        }
        for row, (brought, seen, value, chances) in enumerate(zip(inputs, read, logged.values, told, strict=True))
    )
    key = log_key(logged.model, logged.version, logged.request_id)
    store.put(key, _join(_encode(line) for line in lines), JSON_LINES)


def log_key(model: str, version: int, request_id: str) -> str:
    """Return the key of a request's log object: it follows from the id alone."""
    return keys.predictions(model, version, request_id, moment_of(request_id))


def read_predictions(store: ObjectStore, key: str) -> list[LoggedPrediction]:
    """Return the lines of a log object in the order of their rows, or raise NotFoundError."""
    return [_logged(json.loads(line)) for line in store.get(key).splitlines()]


def _logged(line: dict[str, Any]) -> LoggedPrediction:
    probabilities = line.get("probabilities")
    return LoggedPrediction(
        line["prediction_id"],
        line["features"],
        line["prediction"],
        None if probabilities is None else tuple(probabilities),
    )


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
    lines = (json.loads(line) for line in store.get(key).splitlines())
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
    """Return the request id in the key of a log object or a labels object."""
    return key.rpartition("/")[2].partition(".")[0].partition("-")[0]


def _rows(columns: dict[str, list[Any]], count: int) -> Iterable[dict[str, Any]]:
    """Turn columns into one mapping per row."""
    if not columns:
        return [{}] * count
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _as_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value  # a datetime is a date, too


def _join(lines: Iterable[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()
