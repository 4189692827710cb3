"""Parquet files as matrices of numbers, part by part: memory does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.data.engine import DEFAULTS, ROW_GROUP, Resources, connect
from perennial.errors import DataError
from perennial.sql import identifier, literal

Matrix = npt.NDArray[np.float64]
UNSEEN = -1
"""The place of a text that is none of the categories (`perennial.monitoring.cells.UNSEEN`)."""


def read_matrices(
    paths: Sequence[Path],
    columns: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    directory: Path,
    resources: Resources = DEFAULTS,
) -> Iterator[Matrix]:
    """Read columns of Parquet files, a row group's worth of rows at a time, in the files' order.

    Parameters
    ----------
    columns : sequence of str
        Each a number, a boolean, or one of ``categories``.
    categories : mapping
        Column to the values whose places stand for them; any other is `UNSEEN`.
    directory : Path
        For what DuckDB spills.

    Yields
    ------
    float64 array of shape (n, number of columns)
        One column after the other in memory; NaN stands for a missing value.

    Raises
    ------
    DataError
        A file lacks a column, or holds what is no number.
    """
    told = ", ".join(
        f"{_place(name, categories[name]) if name in categories else _number(name)} AS c{place}"
        for place, name in enumerate(columns)
    )
    with connect(directory, resources, paths) as connection:
        for path in paths:
            query = f"SELECT {told} FROM read_parquet({literal(str(path))}, file_row_number = true) "
            try:
                yield from _parts(connection, query, path, len(columns))
            except duckdb.OutOfMemoryException:
                raise  # `connect` says it in words
            except duckdb.Error as error:
                first = str(error).splitlines()[0]
                raise DataError(f"{path.name}: columns must be numbers or categories, but {first}") from error


def _parts(connection: duckdb.DuckDBPyConnection, query: str, path: Path, width: int) -> Iterator[Matrix]:
    counted = connection.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(path)]).fetchone()
    for start in range(0, counted[0] if counted else 0, ROW_GROUP):
        # The engine passes over the row groups that lie outside.
        where = f"WHERE file_row_number BETWEEN {start} AND {start + ROW_GROUP - 1}"
        table = connection.execute(query + where).fetchnumpy()
        matrix = np.empty((len(table["c0"]), width), order="F")
        for place in range(width):
            matrix[:, place] = table[f"c{place}"]
        yield matrix


def _number(name: str) -> str:
    return f"coalesce(CAST({identifier(name)} AS DOUBLE), 'nan'::DOUBLE)"


def _place(name: str, categories: Sequence[str]) -> str:
    """Return SQL that gives the place that `perennial.encoding.encode` gives, and tells what has none from NULL."""
    column = identifier(name)
    if not categories:
        return f"CASE WHEN {column} IS NULL THEN 'nan'::DOUBLE ELSE {UNSEEN} END"
    texts = ", ".join(literal(category) for category in categories)
    member = f"TRY_CAST(CAST({column} AS VARCHAR) AS ENUM ({texts}))"
    place = f"coalesce(CAST(enum_code({member}) AS DOUBLE), {UNSEEN})"
    return f"CASE WHEN {column} IS NULL THEN 'nan'::DOUBLE ELSE {place} END"
