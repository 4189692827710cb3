"""The tables that a stored view's SELECT reads, over Parquet, cut to what a part of the view may see of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from perennial.data.engine import DEFAULTS, Resources, connect, one
from perennial.definitions import Dataset, FeatureView
from perennial.errors import DefinitionError
from perennial.sql import identifier, literal, sql_type

TRIAL_ROWS = 1000
"""Rows on which a request view is tried when a file has been uploaded."""


@dataclass(frozen=True)
class DatasetTable:
    """A dataset's rows."""

    dataset: Dataset
    files: Sequence[Path]
    """Parquet of the snapshots' parts, always in the same order; there may be none."""

    @property
    def name(self) -> str:
        """The table's name in SQL."""
        return self.dataset.name

    @property
    def time(self) -> str:
        """The column that says when a row came to be known."""
        return self.dataset.event_time


@dataclass(frozen=True)
class ViewTable:
    """The rows of a stored view that another one reads."""

    view: FeatureView
    files: Sequence[Path]
    """Parquet of its parts, always in the same order; at least one, which may be without rows."""

    @property
    def name(self) -> str:
        """The table's name in SQL."""
        return self.view.name

    @property
    def time(self) -> str:
        """The column that says when a row came to be known."""
        return str(self.view.feature_time)


Table = DatasetTable | ViewTable


def create_table(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    *,
    since: datetime | None = None,
    before: datetime | None = None,
    where: str = "true",
) -> None:
    """Make a table readable under its name: its rows from ``since`` on and before ``before``.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        It must be allowed to read the files.
    table : DatasetTable or ViewTable
        A dataset has exactly the columns of its contract; files from before it had a column hold nulls there.
    since, before : datetime or None
        Bounds of its time, without zone as in the data; None means none.
    where : str
        SQL condition that rows must meet as well.
    """
    time = identifier(table.time)
    conditions = [f"({where})"]
    conditions += [f"{time} >= {moment(since)}"] if since is not None else []
    conditions += [f"{time} < {moment(before)}"] if before is not None else []
    if isinstance(table, DatasetTable):
        rows = dataset_rows(connection, table.dataset, table.files)
    else:
        rows = f"SELECT * FROM read_parquet([{', '.join(literal(str(path)) for path in table.files)}])"
    query = f"SELECT * FROM ({rows}) WHERE {' AND '.join(conditions)}"
    connection.execute(f"CREATE OR REPLACE VIEW {identifier(table.name)} AS {query}")


def dataset_rows(connection: duckdb.DuckDBPyConnection, dataset: Dataset, files: Sequence[Path]) -> str:
    """Return the SELECT of the contract's columns over snapshots' parts, in order; over no file it gives no row."""
    columns = {name: sql_type(column) for name, column in dataset.columns.items()}
    if not files:
        absent = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in columns.items())
        return f"SELECT {absent} WHERE false"
    source = f"read_parquet([{', '.join(literal(str(path)) for path in files)}], union_by_name = true)"
    present = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    selected = ", ".join(
        f"CAST({identifier(name) if name in present else 'NULL'} AS {kind}) AS {identifier(name)}"
        for name, kind in columns.items()
    )
    return f"SELECT {selected} FROM {source}"


def moment(at: datetime) -> str:
    """Return a moment without zone as an SQL literal."""
    return f"TIMESTAMP {literal(at.isoformat(sep=' '))}"


def in_bucket(entity: Sequence[str], bucket: int, buckets: int) -> str:
    """Return the SQL condition of the rows whose entity lies in a bucket."""
    return f"{bucket_of(entity, buckets)} = {bucket}"


def bucket_of(entity: Sequence[str], buckets: int) -> str:
    """Return the SQL of the bucket that a row's entity lies in."""
    return f"hash({', '.join(map(identifier, entity))}) % {buckets}"


def try_request_view(
    view: FeatureView, dataset: Dataset, file: Path, folder: Path, *, resources: Resources = DEFAULTS
) -> None:
    """Run a request view over some rows, so that one that fails on them is told before it is trained on or served.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``request``.
    dataset : Dataset
        The dataset that it reads.
    file : Path
        Parquet of which the first `TRIAL_ROWS` rows are taken.
    folder : Path
        Where DuckDB may spill.
    resources : Resources
        What DuckDB may use.

    Raises
    ------
    DefinitionError
        The SQL fails, or does not give one row for each row.
    """
    place = f"features/{view.name}.sql"
    with connect(folder, resources, [file]) as connection:
        rows = dataset_rows(connection, dataset, [file])
        name = identifier(dataset.name)
        connection.execute(f"CREATE TABLE {name} AS {rows} LIMIT {TRIAL_ROWS}")
        (before,) = one(connection, f"SELECT count(*) FROM {name}")
        try:
            made = len(connection.execute(f"SELECT * FROM ({view.sql}\n)").fetchall())
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise DefinitionError(f"{place}: {str(error).splitlines()[0]}") from error
    if made != before:
        raise DefinitionError(f"{place}: gives {made} rows for {before}; a request view gives one row for each row")
