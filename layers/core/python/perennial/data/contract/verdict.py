"""What became of a stretch of a file, and how its bad rows are told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from perennial.data.engine import one
from perennial.data.reading.sources import BadRecord
from perennial.definitions import Dataset
from perennial.sql import identifier


@dataclass(frozen=True)
class Seen:
    """What a column's values were in some rows."""

    nulls: int = 0
    texts: int = 0
    """Values that are there, of the column's type or not."""
    of_type: int = 0

    def __add__(self, other: Seen) -> Seen:
        return Seen(self.nulls + other.nulls, self.texts + other.texts, self.of_type + other.of_type)


@dataclass(frozen=True)
class Verdict:
    """What became of a stretch."""

    number: int
    part: Path | None
    """Parquet of its good rows, if there are any."""
    rejects: Path | None
    """JSON Lines of its bad rows, if there are any."""
    good: int
    careful: bool = False
    """Whether the stretch had to be read with more care (``Stretch.again``)."""
    bad_rows: Sequence[int] = ()
    """Rows of the stretch, from 0, that the engine read and that are not in the part."""
    bad: Mapping[str, int] = field(default_factory=dict)
    """All bad rows by what they break first."""
    months: Mapping[str, int] = field(default_factory=dict)
    min_event_time: datetime | None = None
    max_event_time: datetime | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    """By column, of those that a rule over the whole file asks about."""
    new_categories: Mapping[str, Sequence[str]] = field(default_factory=dict)


def event_times(
    connection: duckdb.DuckDBPyConnection, table: str, dataset: Dataset
) -> tuple[dict[str, int], datetime | None, datetime | None]:
    """Return a table's rows by the month of their event time, in order, and the first and last event time."""
    time = identifier(dataset.event_time)
    total, first, last = one(connection, f"SELECT count(*), min({time}), max({time}) FROM {table}")
    if not isinstance(first, datetime) or not isinstance(last, datetime) or not isinstance(total, int):
        return {}, None, None
    if (first.year, first.month) == (last.year, last.month):
        return {f"{first.year:04d}-{first.month:02d}": total}, first, last
    rows = connection.execute(
        f"SELECT date_trunc('month', {time}) AS month, count(*) FROM {table} GROUP BY month ORDER BY month"
    ).fetchall()
    return {f"{month.year:04d}-{month.month:02d}": count for month, count in rows}, first, last


def first_fault(record: BadRecord) -> str:
    """Return what a bad record breaks first, as reports count it."""
    return f"{record.column}: {record.rule}" if record.column else record.rule


def json_line(record: BadRecord) -> str:
    """Return a bad record as the line of a quarantine."""
    fields = {**vars(record), "faults": list(record.faults) or [first_fault(record)]}
    return json.dumps(fields, ensure_ascii=False) + "\n"
