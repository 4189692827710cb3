"""Reading a training set's Parquet files into matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.errors import DataError
from perennial.sql import identifier, literal
from perennial.utc import naive_utc

EVENT_TIME = "event_time"
TARGET = "target"


@dataclass(frozen=True)
class Rows:
    """Rows of a training set, in the file's order.

    ``event_time`` is datetime64[us] of shape (n,), in UTC where the column has a zone; ``features`` is float64 of
    shape (n, number of features) with NaN where a value is missing, and a category's place where it is categorical;
    ``target`` is float64 of shape (n,): a number, 0 or 1, or a class's place.
    """

    event_time: npt.NDArray[np.datetime64]
    features: npt.NDArray[np.float64]
    target: npt.NDArray[np.float64]
    dropped: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Places in the file of the rows that are not here, as their class is none that was learnt."""

    def __len__(self) -> int:
        return len(self.target)

    def select(self, kept: npt.NDArray[Any]) -> Rows:
        """Return some of the rows: a bool for each, or places."""
        return Rows(self.event_time[kept], self.features[kept], self.target[kept])

    def since(self, moment: datetime) -> Rows:
        """Return the rows whose event time is at or after ``moment``."""
        return self.select(self.event_time >= _datetime64(moment))

    def before(self, moment: datetime) -> Rows:
        """Return the rows whose event time is before ``moment``."""
        return self.select(self.event_time < _datetime64(moment))


def read_rows(
    path: Path,
    features: Sequence[str],
    categories: Mapping[str, Sequence[str]] | None = None,
    classes: Sequence[str] = (),
) -> Rows:
    """Read one part of a training set.

    Parameters
    ----------
    path : Path
        Parquet with the columns ``event_time``, the features and ``target``.
    features : sequence of str
        The feature columns, in the order in which the model reads them.
    categories : mapping, optional
        Feature column to the values that are told apart, as in `TrainingSet`; the column is read as text, and a value
        becomes its place, or NaN if it is missing or not among them.
    classes : sequence of str
        Of a target that is text: its values. A row of another class (one that only the held-out rows have) can be
        neither learnt from nor judged on: it is left out, and its place in the file is in ``Rows.dropped``.

    Raises
    ------
    DataError
        A column is missing or is no number, a target is missing, or a value is infinite.
    """
    types = types_of(path)
    for name in (EVENT_TIME, *features, TARGET):
        if name not in types:
            raise DataError(f"training set: there is no column {name!r} among {', '.join(types)}", field=name)
    known = dict(categories or {})
    if types[TARGET] == "VARCHAR" and classes:
        known[TARGET] = classes
    columns = [_place(name, known[name]) if name in known else _number(name) for name in (*features, TARGET)]
    numbers = ", ".join(f"{sql} AS c{i}" for i, sql in enumerate(columns))
    query = (
        f"SELECT epoch_us({identifier(EVENT_TIME)}) AS at, {identifier(TARGET)} IS NULL AS unlabelled, {numbers} "
        "FROM read_parquet(?)"
    )
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
    if TARGET in known:
        strange = np.isnan(target) & ~np.asarray(table["unlabelled"], dtype=bool)
        rows = replace(rows.select(~strange), dropped=np.flatnonzero(strange))
    _check_values(rows, features)
    return rows


def columns_of(path: Path) -> tuple[str, ...]:
    """Return the names of a Parquet file's columns, in its order."""
    return tuple(types_of(path))


def types_of(path: Path) -> dict[str, str]:
    """Return the SQL types of a Parquet file's columns by name, in its order."""
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    return {row[0]: row[1] for row in described}


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


def _place(name: str, categories: Sequence[str]) -> str:
    """Return SQL that does what `perennial.encoding.encode` does to a column."""
    if not categories:
        return "'nan'::DOUBLE"
    texts = ", ".join(literal(category) for category in categories)
    member = f"TRY_CAST(CAST({identifier(name)} AS VARCHAR) AS ENUM ({texts}))"
    return f"coalesce(CAST(enum_code({member}) AS DOUBLE), 'nan'::DOUBLE)"
