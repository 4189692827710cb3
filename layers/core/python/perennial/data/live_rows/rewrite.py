"""Taking rows out of a snapshot's parts: only the parts that hold such rows are written again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import duckdb

from perennial.data.contract.validate import PartFile
from perennial.data.engine import PART_FORMAT, one
from perennial.sql import identifier, literal


@dataclass(frozen=True)
class Rewritten:
    """What is left of a part."""

    part: PartFile | None
    """None if no row is left."""
    taken: int
    """How many rows were taken out, at least one."""
    months: Mapping[str, int]
    """Rows that were taken out, by the month of their event time."""


def count_rows(connection: duckdb.DuckDBPyConnection, part: Path, condition: str) -> int:
    """Return how many rows of a part a condition holds for."""
    return int(cast(int, one(connection, f"SELECT count(*) FROM {_table(part)} WHERE {condition}")[0]))


def rewrite_part(
    connection: duckdb.DuckDBPyConnection, part: Path, taken: str, event_time: str, target: Path
) -> Rewritten | None:
    """Write a part without some of its rows; the rest keeps its order. The same rows make the same bytes.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Sees both files' folders.
    part, target : Path
        The part, and what to write.
    taken : str
        SQL condition over the part's columns, never null: which rows to take out.
    event_time : str
        The column of the event times.

    Returns
    -------
    Rewritten or None
        None if the condition holds for no row; nothing is written then.
    """
    time = identifier(event_time)
    months = connection.execute(
        f"SELECT strftime({time}, '%Y-%m') AS month, count(*) FROM {_table(part)} WHERE {taken} "
        "GROUP BY month ORDER BY month"
    ).fetchall()
    if not months:
        return None
    gone = {str(month): int(count) for month, count in months}
    kept = f"FROM read_parquet({literal(str(part))}, file_row_number = true) WHERE NOT ({taken})"
    rows, first, last = one(connection, f"SELECT count(*), min({time}), max({time}) {kept}")
    if not rows:
        return Rewritten(None, sum(gone.values()), gone)
    # In the order of the row numbers, or row groups would be cut where threads happened to hand over.
    connection.execute(
        f"COPY (SELECT * EXCLUDE (file_row_number) {kept} ORDER BY file_row_number) "
        f"TO {literal(str(target))} ({PART_FORMAT})"
    )
    left = PartFile(target, int(cast(int, rows)), cast(datetime, first), cast(datetime, last))
    return Rewritten(left, sum(gone.values()), gone)


def months_left(months: Mapping[str, int], rewritten: Iterator[Rewritten] | list[Rewritten]) -> dict[str, int]:
    """Return the rows by month that are left when parts were rewritten; a month without rows is left out."""
    left = dict(months)
    for one_part in rewritten:
        for month, count in one_part.months.items():
            left[month] -= count
    return {month: count for month, count in left.items() if count}


def _table(part: Path) -> str:
    return f"read_parquet({literal(str(part))})"
