"""The row groups of Parquet files: what their footers say of them, and an even choice of some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np

from perennial.sql import literal


@dataclass(frozen=True)
class RowGroup:
    """Some consecutive rows of a file."""

    part: str
    """Path of the file."""
    first: int
    """Number of its first row in the file, from 0."""
    rows: int


def read_footers(connection: duckdb.DuckDBPyConnection, parts: Sequence[Path]) -> list[RowGroup]:
    """Return the files' row groups in order, and make the table ``chunks`` of what the footers say.

    ``chunks`` has a row for each column of each row group: ``name``, ``rows``, ``nulls``, and the smallest and the
    largest value as text, ``least`` and ``most``.
    """
    order = " ".join(f"WHEN {literal(str(path))} THEN {number}" for number, path in enumerate(parts))
    connection.execute(
        "CREATE TABLE chunks AS SELECT file_name AS part, row_group_id AS id, row_group_num_rows AS rows, "
        "path_in_schema AS name, stats_null_count AS nulls, stats_min_value AS least, stats_max_value AS most "
        f"FROM parquet_metadata([{', '.join(literal(str(path)) for path in parts)}])"
    )
    found = connection.execute(
        "SELECT part, CAST(coalesce(sum(rows) OVER (PARTITION BY part ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING "
        "AND 1 PRECEDING), 0) AS BIGINT), rows FROM (SELECT DISTINCT part, id, rows FROM chunks) "
        f"ORDER BY CASE part {order} END, id"
    ).fetchall()
    return [RowGroup(*group) for group in found]


def spread(groups: Sequence[RowGroup], limit: int) -> list[RowGroup]:
    """Return the row groups at evenly spaced places among all rows, ``limit`` rows at most (but one group at least)."""
    ends = np.cumsum([group.rows for group in groups])
    if ends[-1] <= limit:
        return list(groups)
    number = max(limit // max(group.rows for group in groups), 1)
    places = [(2 * place + 1) * int(ends[-1]) // (2 * number) for place in range(number)]
    return [groups[index] for index in np.unique(np.searchsorted(ends, places, side="right"))]


def table_of(groups: Sequence[RowGroup], parts: Sequence[Path], *, everything: bool) -> str:
    """Return the SQL of a table of these row groups' rows: of all parts as they are, if they hold everything."""
    if everything:
        return f"read_parquet([{', '.join(literal(str(path)) for path in parts)}])"
    selects = (
        f"SELECT * FROM read_parquet({literal(group.part)}, file_row_number = true) "
        f"WHERE file_row_number >= {group.first} AND file_row_number < {group.first + group.rows}"
        for group in groups
    )
    return f"({' UNION ALL '.join(selects)})"
