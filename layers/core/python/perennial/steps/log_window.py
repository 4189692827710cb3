"""Stretches of a version's prediction log and of its labels, read with as few calls as it takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby, islice
from typing import Any, TypeVar

import numpy as np

from perennial import keys
from perennial.data.prediction_columns import LoggedRows, join, read_columns, stack
from perennial.ports import ObjectStore
from perennial.serving.ids import RANDOM_BYTES, make_request_id, moment_of, parse_prediction_id
from perennial.serving.logged import LogPolicy
from perennial.steps.prediction_log import (
    StoredLabel,
    latest_labels,
    newest_first,
    parse_labels,
    parts_of,
    request_id_of,
    rows_in,
    window_of,
)
from perennial.utc import naive_utc

ANSWERED = ("champion", "canary", "named")
"""The routes by which a caller got a version's answer."""
_AT_ONCE = 16
"""Objects read at the same time."""
Content = TypeVar("Content")


class LogReader:
    """Reads objects of the log several at a time, and remembers those of the last window: they never change.

    Parameters
    ----------
    store : ObjectStore
        Where the log is; its ``get`` is called from several threads.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._known: dict[tuple[Hashable, ...], Any] = {}
        self._used: set[tuple[Hashable, ...]] = set()

    def read(self, wanted: Sequence[str], read: Callable[[Sequence[bytes]], Sequence[Content]]) -> list[Content]:
        """Return the content of each key, in order; ``read`` makes it of the bytes of some objects."""
        new = [key for key in wanted if (read, key) not in self._known]
        if new:
            self._known.update(zip(((read, key) for key in new), read(self._fetch(new)), strict=True))
        self._used.update((read, key) for key in wanted)
        return [self._known[read, key] for key in wanted]

    def recall(self, about: tuple[Hashable, ...]) -> Any:
        """Return what was kept about objects of the log, None if nothing was."""
        if about in self._known:
            self._used.add(about)
        return self._known.get(about)

    def keep(self, about: tuple[Hashable, ...], content: Any) -> None:
        """Keep what was made of objects, in place of themselves."""
        self._known[about] = content
        self._used.add(about)

    def tables(self, groups: Sequence[tuple[str, ...]]) -> list[LoggedRows]:
        """Return the rows of groups of parts, read once and not kept."""
        contents = self._fetch([key for group in groups for key in group]) if groups else []
        columns = iter(read_columns(contents))
        return [join(list(islice(columns, len(group)))) for group in groups]

    def _fetch(self, wanted: Sequence[str]) -> list[bytes]:
        if len(wanted) == 1:
            return [self.store.get(wanted[0])]
        with ThreadPoolExecutor(min(_AT_ONCE, len(wanted))) as pool:
            return list(pool.map(self.store.get, wanted))

    def forget_unused(self) -> None:
        """Drop what was not read since the last call."""
        self._known = {key: content for key, content in self._known.items() if key in self._used}
        self._used = set()


def answered(table: LoggedRows, routes: Collection[str] = ANSWERED) -> LoggedRows:
    """Return the rows that came by these routes; where the version failed it predicted nothing, so that is left out."""
    return table.take(np.isin(table.routes.astype(str), list(routes)) & (table.errors == ""))


def groups_newest_first(
    reader: LogReader, model: str, version: int, since: date, until: date
) -> Iterator[tuple[str, ...]]:
    """Walk a version's log backwards in time, by half a minute: the parts whose request ids begin alike.

    What is delivered again is of the same group, so each group can be counted by itself.

    Parameters
    ----------
    since, until : datetime.date
        First and last day, in UTC, on which there can be predictions.
    """
    found = parts_of(newest_first(reader.store, keys.predictions(model, version), since, until))
    return (tuple(group) for _, group in groupby(found, key=window_of))


def some_groups(groups: Iterator[tuple[str, ...]], rows: int) -> list[tuple[str, ...]]:
    """Take the next groups that hold as many rows, as their keys tell."""
    wanted: list[tuple[str, ...]] = []
    while rows > 0 and (group := next(groups, None)) is not None:
        wanted.append(group)
        rows -= sum(map(rows_in, group))
    return wanted


def predictions_between(
    reader: LogReader, model: str, version: int, since: datetime, until: datetime
) -> LoggedRows | None:
    """Return all that is logged of a version from one moment to before another: failures, and all routes; or None."""
    wanted = keys_between(reader.store, model, version, since, until)
    if not wanted:
        return None
    table = join(reader.read(wanted, read_columns))
    first, last = np.datetime64(naive_utc(since)), np.datetime64(naive_utc(until))
    inside = (table.answered_at >= first) & (table.answered_at < last)
    return table.take(inside) if inside.any() else None


def keys_between(store: ObjectStore, model: str, version: int, since: datetime, until: datetime) -> list[str]:
    """Return the keys of the parts that may hold predictions from one moment to another, in the order of time."""
    prefix = keys.predictions(model, version)
    first, last = (make_request_id(at, bytes(RANDOM_BYTES))[:7] for at in (since, until))
    days = [since.date() + timedelta(days=day) for day in range((until.date() - since.date()).days + 1)]
    listed = (key for day in days for key in store.keys(f"{prefix}date={day.isoformat()}/"))
    return [key for key in parts_of(listed) if first <= window_of(key)[1] <= last]


@dataclass(frozen=True)
class Labelled:
    """Predictions whose label has come."""

    labels: list[float]
    predictions: LoggedRows | None
    """What was said, in the order of the labels; None if there are none."""
    until: datetime | None
    """When the latest of the labels came; None if there are none."""
    unmatched: int
    """Labels that were passed over, for their predictions are not in the log: not yet, or lost."""


def latest_labelled(
    reader: LogReader, model: str, version: int, since: date, until: date, rows: int, policy: LogPolicy
) -> Labelled:
    """Return a version's latest predictions that have a label, at most ``rows``.

    Parameters
    ----------
    since, until : datetime.date
        First and last day, in UTC, on which there can be predictions.
    policy : LogPolicy
        The version's: labels of requests that it does not keep are not read.
    """
    found = newest_first(reader.store, keys.labels_prefix(model, version), since, until)
    kept = (key for key in found if policy.keeps(request_id_of(key)))
    requests = (list(group) for _, group in groupby(kept, key=request_id_of))
    labels: list[StoredLabel] = []
    tables: list[LoggedRows] = []
    unmatched = largest = 0
    while batch := list(islice(requests, _batch_size(rows - len(labels), largest))):
        objects = iter(reader.read([key for group in batch for key in group], _read_labels))
        told: list[StoredLabel] = []
        for group in batch:
            latest = latest_labels(label for lines in islice(objects, len(group)) for label in lines)
            told += latest.values()
            largest = max(largest, len(latest))
        told.sort(key=_place, reverse=True)  # whatever order they came in
        joined, table = _join(reader, model, version, told)
        unmatched += len(told) - len(joined)
        if table is not None:
            labels += joined
            tables.append(table)
    del labels[rows:]
    return Labelled(
        labels=[label.label for label in labels],
        predictions=stack(tables).take(np.arange(len(labels))) if tables else None,
        until=max((label.at for label in labels), default=None),
        unmatched=unmatched,
    )


def _read_labels(objects: Sequence[bytes]) -> list[list[StoredLabel]]:
    return list(map(parse_labels, objects))


def _place(label: StoredLabel) -> tuple[str, int]:
    name = parse_prediction_id(label.prediction_id)
    return name.request_id, name.row


def _batch_size(missing: int, largest: int) -> int:
    """Return how many requests' labels to read next: one to learn their size, then as many as are needed."""
    if missing <= 0:
        return 0
    return max(1, min(_AT_ONCE, missing // largest)) if largest else 1


def _join(
    reader: LogReader, model: str, version: int, labels: Sequence[StoredLabel]
) -> tuple[list[StoredLabel], LoggedRows | None]:
    """Return those labels whose predictions are in the log, and these predictions in the same order."""
    ids = [parse_prediction_id(label.prediction_id) for label in labels]
    windows = {(moment_of(name.request_id).date().isoformat(), name.request_id[:7]) for name in ids}
    prefix = keys.predictions(model, version)
    wanted = [
        key
        for day in sorted({day for day, _ in windows})
        for key in parts_of(reader.store.keys(f"{prefix}date={day}/"))
        if window_of(key) in windows
    ]
    if not wanted:
        return [], None
    table = join(reader.read(wanted, read_columns))
    said = {name: number for number, name in enumerate(zip(table.request_ids, table.places.tolist(), strict=True))}
    places = [said.get((name.request_id, name.row)) for name in ids]
    joined = [label for label, place in zip(labels, places, strict=True) if place is not None]
    chosen = np.array([place for place in places if place is not None], dtype=np.int64)
    return joined, table.take(chosen) if joined else None
