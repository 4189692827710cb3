"""The latest stretch of a version's prediction log and labels, read with as few calls as it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby, islice
from typing import Any, TypeVar

from perennial import keys
from perennial.ports import ObjectStore
from perennial.serving.ids import parse_prediction_id
from perennial.steps.prediction_log import (
    LoggedPrediction,
    StoredLabel,
    latest_labels,
    log_key,
    newest_first,
    read_labels,
    read_predictions,
    request_id_of,
)

_AT_ONCE = 16
"""Objects read at the same time."""
Content = TypeVar("Content")


class LogReader:
    """Reads log objects several at a time, and remembers those of the last window: they never change.

    Parameters
    ----------
    store : ObjectStore
        Where the log is; its ``get`` is called from several threads.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._known: dict[str, Any] = {}
        self._used: set[str] = set()

    def read(self, wanted: Sequence[str], read: Callable[[ObjectStore, str], Content]) -> list[Content]:
        """Return the content of each key, in order."""
        new = [key for key in wanted if key not in self._known]
        if len(new) == 1:
            self._known[new[0]] = read(self.store, new[0])
        elif new:
            with ThreadPoolExecutor(min(_AT_ONCE, len(new))) as pool:
                self._known.update(zip(new, pool.map(lambda key: read(self.store, key), new), strict=True))
        self._used.update(wanted)
        return [self._known[key] for key in wanted]

    def forget_unused(self) -> None:
        """Drop what was not read since the last call."""
        self._known = {key: content for key, content in self._known.items() if key in self._used}
        self._used = set()


def latest_predictions(
    reader: LogReader, model: str, version: int, since: date, until: date, rows: int
) -> list[LoggedPrediction]:
    """Return the latest predictions of a version, newest request first, at most ``rows``.

    Parameters
    ----------
    since, until : datetime.date
        First and last day, in UTC, on which there can be predictions.
    """
    found = newest_first(reader.store, keys.predictions(model, version, ""), since, until)
    window: list[LoggedPrediction] = []
    largest = 0
    while batch := list(islice(found, _batch_size(rows - len(window), largest))):
        for lines in reader.read(batch, read_predictions):
            window.extend(reversed(lines))
            largest = max(largest, len(lines))
    return window[:rows]


@dataclass(frozen=True)
class Labelled:
    """Predictions whose label has come."""

    labels: list[float]
    predictions: list[LoggedPrediction]
    """What was said, in the order of the labels."""
    until: datetime | None
    """When the latest of the labels came; None if there are none."""


def latest_labelled(reader: LogReader, model: str, version: int, since: date, until: date, rows: int) -> Labelled:
    """Return a version's latest predictions that have a label, at most ``rows``.

    Parameters
    ----------
    since, until : datetime.date
        First and last day, in UTC, on which there can be predictions.
    """
    found = newest_first(reader.store, keys.labels_prefix(model, version), since, until)
    requests = (list(group) for _, group in groupby(found, key=request_id_of))
    labels: list[StoredLabel] = []
    largest = 0
    while batch := list(islice(requests, _batch_size(rows - len(labels), largest))):
        objects = iter(reader.read([key for group in batch for key in group], read_labels))
        for group in batch:
            latest = latest_labels(label for lines in islice(objects, len(group)) for label in lines)
            labels.extend(latest.values())
            largest = max(largest, len(latest))
    del labels[rows:]
    made = _made(reader, model, version, [label.prediction_id for label in labels])
    return Labelled([label.label for label in labels], made, max((label.at for label in labels), default=None))


def _batch_size(missing: int, largest: int) -> int:
    """Return how many objects to read next: one to learn their size, then as many as are needed if none is larger."""
    if missing <= 0:
        return 0
    return max(1, min(_AT_ONCE, missing // largest)) if largest else 1


def _made(reader: LogReader, model: str, version: int, prediction_ids: Sequence[str]) -> list[LoggedPrediction]:
    """Return the predictions of those ids; feedback has made sure that they are in the log."""
    ids = [parse_prediction_id(text) for text in prediction_ids]
    places: Iterator[str] = (log_key(model, version, prediction.request_id) for prediction in ids)
    logs = list(dict.fromkeys(places))
    made = {line.prediction_id: line for log in reader.read(logs, read_predictions) for line in log}
    return [made[text] for text in prediction_ids]
