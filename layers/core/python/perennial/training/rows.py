"""Reading a training set's Parquet files into matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.errors import DataError
from perennial.sql import identifier
from perennial.utc import naive_utc

EVENT_TIME = "event_time"
TARGET = "target"


@dataclass(frozen=True)
class Rows:
    """Rows of a training set, in the file's order.

    ``event_time`` is datetime64[us] of shape (n,), in UTC where the column has a zone; ``features`` is float64 of
    shape (n, number of features) with NaN where a value is missing; ``target`` is float64 of shape (n,).
    """

    event_time: npt.NDArray[np.datetime64]
    features: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.target)

    def since(self, moment: datetime) -> Rows:
        """Return the rows whose event time is at or after ``moment``."""
        kept = self.event_time >= _datetime64(moment)
        return Rows(self.event_time[kept], self.features[kept], self.target[kept])


def read_rows(path: Path, features: Sequence[str]) -> Rows:
    """Read one part of a training set.

    Parameters
    ----------
    path : Path
        Parquet with the columns ``event_time``, the features and ``target``.
    features : sequence of str
        The feature columns, in the order in which the model reads them.

    Raises
    ------
    DataError
        A column is missing or is no number, a target is missing, or a value is infinite.
    """
    columns = columns_of(path)
    for name in (EVENT_TIME, *features, TARGET):
        if name not in columns:
            raise DataError(f"training set: there is no column {name!r} among {', '.join(columns)}", field=name)
    numbers = ", ".join(f"{_number(name)} AS c{i}" for i, name in enumerate((*features, TARGET)))
    query = f"SELECT epoch_us({identifier(EVENT_TIME)}) AS at, {numbers} FROM read_parquet(?)"
    with duckdb.connect() as connection:
        try:
            table = connection.execute(query, [str(path)]).fetchnumpy()
        except duckdb.Error as error:
            first = str(error).splitlines()[0]
            raise DataError(f"training set: features and target must be numbers, but {first}") from error
    matrix = np.empty((len(table["at"]), len(features)), dtype=np.float64)
    for i in range(len(features)):
        matrix[:, i] = table[f"c{i}"]
    target = np.asarray(table[f"c{len(features)}"], dtype=np.float64)
    rows = Rows(np.asarray(table["at"]).astype("datetime64[us]"), matrix, target)
    _check_values(rows, features)
    return rows


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the names of a Parquet file's columns, in its order."""
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    return tuple(row[0] for row in described)


def history_start(split_at: datetime, history: timedelta | None) -> datetime | None:
    """Return the event time from which a candidate learns; None means from the beginning."""
    return None if history is None else split_at - history


def _check_values(rows: Rows, features: Sequence[str]) -> None:
    bad = int(np.count_nonzero(~np.isfinite(rows.target)))
    if bad:
        raise DataError(
            f"training set: the target is missing or infinite in {bad} of {len(rows)} rows; "
            "let the model's filter leave them out",
            field=TARGET,
        )
    infinite = np.isinf(rows.features).sum(axis=0)
    for name, count in zip(features, infinite, strict=True):
        if count:
            raise DataError(
                f"training set: feature {name!r} is infinite in {count} of {len(rows)} rows; "
                "let its view give NULL there, such as a / nullif(b, 0)",
                field=name,
            )


def _datetime64(moment: datetime) -> np.datetime64:
    return np.datetime64(naive_utc(moment), "us")


def _number(name: str) -> str:
    return f"coalesce(CAST({identifier(name)} AS DOUBLE), 'nan'::DOUBLE)"
