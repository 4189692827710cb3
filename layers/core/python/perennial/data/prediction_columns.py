"""Predictions of the log as arrays: what the monitor counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from perennial.data.prediction_parts import TYPES, opened

Doubles = npt.NDArray[np.float64]
Words = npt.NDArray[np.object_]


@dataclass(frozen=True)
class LoggedRows:
    """Rows of one version's log, column by column: every array's first axis is the rows."""

    request_ids: Words
    places: npt.NDArray[np.int64]
    """Which row of its request each is."""
    answered_at: npt.NDArray[np.datetime64]
    """In UTC, to the microsecond."""
    routes: Words
    milliseconds: Doubles
    """Of the whole request."""
    errors: Words
    """Name of the error by which the version failed, empty if it did not."""
    predictions: Doubles
    """NaN where the version failed."""
    probabilities: Doubles | None
    """Of several classes, shape (n, classes)."""
    features: dict[str, Doubles]
    """Feature to its values; NaN stands for missing."""
    processes: Words
    """Request id that names the process which answered."""
    sequences: npt.NDArray[np.int64]
    """How many lines of the version that process had written before this row's."""
    unwritten: npt.NDArray[np.int64]
    """How many rows of the version it could not write before."""

    def __len__(self) -> int:
        return len(self.request_ids)

    def take(self, chosen: npt.NDArray[Any]) -> LoggedRows:
        """Return some rows: those of a mask, or in the order of their numbers."""
        columns = {name: getattr(self, name) for name in self.__dataclass_fields__}
        taken = {name: column[chosen] for name, column in columns.items() if isinstance(column, np.ndarray)}
        features = {name: column[chosen] for name, column in self.features.items()}
        return LoggedRows(**{**columns, **taken, "features": features})

    def matrix(self, features: Sequence[str]) -> Doubles:
        """Return features side by side, shape (n, len(features))."""
        return np.column_stack([self.features[name] for name in features]) if features else np.empty((len(self), 0))


def read_columns(parts: Sequence[bytes]) -> list[LoggedRows]:
    """Read parts, one result for each."""
    with opened(parts) as (connection, sources):
        return [
            _logged(connection.execute(f"SELECT * EXCLUDE (inputs) FROM {source}").fetchnumpy()) for source in sources
        ]


def _logged(columns: dict[str, Any]) -> LoggedRows:
    lists = [None if chances is np.ma.masked else chances for chances in columns["probabilities"]]
    width = next((len(chances) for chances in lists if chances is not None), None)
    missing = np.full(width or 0, np.nan)
    return LoggedRows(
        request_ids=columns["request_id"],
        places=columns["row"].astype(np.int64),
        answered_at=columns["answered_at"],
        routes=columns["route"],
        milliseconds=_doubles(columns["milliseconds"]),
        errors=columns["error"],
        predictions=_doubles(columns["prediction"]),
        probabilities=(
            None if width is None else np.array([missing if x is None else x for x in lists], dtype=np.float64)
        ),
        features={name: _doubles(values) for name, values in columns.items() if name not in TYPES},
        processes=columns["process"],
        sequences=columns["sequence"],
        unwritten=columns["unwritten"],
    )


def _doubles(values: npt.NDArray[Any]) -> Doubles:
    """Return a column with NaN for its nulls; one that is null throughout has whatever type."""
    masked = np.ma.MaskedArray(values)
    doubles: Doubles = np.where(np.ma.getmaskarray(masked), np.nan, masked.data.astype(np.float64))
    return doubles


def join(tables: Sequence[LoggedRows]) -> LoggedRows:
    """Return the rows of some tables of one version, the latest request first and of each the last row first.

    A row that is there several times, as after a repeated delivery, is there once: a row is known by its request, its
    place in it and the route.
    """
    whole = stack(tables)
    names = zip(whole.request_ids, whole.places.tolist(), whole.routes, strict=True)
    first: dict[tuple[str, int, str], int] = {}
    for number, name in enumerate(names):
        first.setdefault(name, number)
    return whole.take(np.array([first[name] for name in sorted(first, reverse=True)], dtype=np.int64))


def stack(tables: Sequence[LoggedRows]) -> LoggedRows:
    """Return the rows of some tables of one version, at least one, as they are."""
    if len(tables) == 1:
        return tables[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name, column in vars(tables[0]).items()
        if isinstance(column, np.ndarray) and name != "probabilities"
    }
    classes = next((table.probabilities.shape[1] for table in tables if table.probabilities is not None), None)
    return LoggedRows(
        probabilities=None if classes is None else np.concatenate([_chances(table, classes) for table in tables]),
        features={name: np.concatenate([table.features[name] for table in tables]) for name in tables[0].features},
        **columns,
    )


def _chances(table: LoggedRows, classes: int) -> Doubles:
    """Return a table's probabilities; of one in which the version always failed, NaN."""
    return np.full((len(table), classes), np.nan) if table.probabilities is None else table.probabilities
