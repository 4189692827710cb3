"""Feature views offline: a view's SQL over snapshots, written as Parquet that is the same whenever the inputs are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb

from perennial.data.column_sql import SQL_TYPES
from perennial.data.engine import DEFAULTS, Resources, connect, identifier, literal, one, write_table
from perennial.definitions import Dataset, FeatureView
from perennial.errors import DefinitionError
from perennial.ports import OnlineRow

_RESULT = "result of a view"
"""Table that no dataset can be named like."""


def write_request_view(
    view: FeatureView, dataset: Dataset, snapshot: Path, path: Path, *, resources: Resources = DEFAULTS
) -> int:
    """Run a request view over one snapshot.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``request``.
    dataset : Dataset
        The dataset that it reads.
    snapshot : Path
        Parquet of the snapshot.
    path : Path
        Parquet to write: the view's columns, row for row in the snapshot's order.
    resources : Resources
        What DuckDB may use.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    DefinitionError
        The SQL fails, or does not give one row for each row.
    """
    with connect(path.parent, resources, [snapshot]) as connection:
        create_dataset_view(connection, dataset, [snapshot])
        _run(connection, view, f"SELECT * FROM ({view.sql}\n)")
        (before,) = one(connection, f"SELECT count(*) FROM {identifier(dataset.name)}")
        rows = write_table(connection, _RESULT, path)
    if rows != before:
        raise DefinitionError(
            f"features/{view.name}.sql: gives {rows} rows for {before}; a request view gives one row for each row"
        )
    return rows


def write_stored_view(
    view: FeatureView, dataset: Dataset, snapshots: Sequence[Path], path: Path, *, resources: Resources = DEFAULTS
) -> int:
    """Run a stored view over all live snapshots of its dataset.

    Rows without an entity or a feature time belong to nobody and are left out; the rest are ordered by all
    their columns. The SQL runs on one thread: sums of doubles depend on the order in which threads add them up.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``stored``.
    dataset : Dataset
        The dataset that it reads.
    snapshots : sequence of Path
        Parquet of each snapshot, always in the same order.
    path : Path
        Parquet to write: entity columns, feature time (TIMESTAMP), then the view's other columns.
    resources : Resources
        What DuckDB may use; its threads do not count.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    DefinitionError
        The SQL fails, or gives two rows for one entity and moment.
    """
    time = identifier(str(view.feature_time))
    entity = ", ".join(identifier(name) for name in view.entity)
    known = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in view.entity)
    named = f"{entity}, {time}"
    with connect(path.parent, Resources(resources.memory, threads=1), snapshots) as connection:
        create_dataset_view(connection, dataset, snapshots)
        query = (
            f"SELECT {entity}, CAST({time} AS TIMESTAMP) AS {time}, * EXCLUDE ({named}) FROM ({view.sql}\n) "
            f"WHERE {known} AND {time} IS NOT NULL ORDER BY ALL"
        )
        _run(connection, view, query)
        twice = connection.execute(
            f"SELECT {named} FROM {identifier(_RESULT)} GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
        ).fetchone()
        if twice:
            raise DefinitionError(
                f"features/{view.name}.sql: gives more than one row for ({named}) = ({', '.join(map(str, twice))}); "
                "aggregate to one row for each entity and moment"
            )
        return write_table(connection, _RESULT, path)


def latest_rows(view: FeatureView, table: Path, *, resources: Resources = DEFAULTS) -> Iterator[OnlineRow]:
    """Return each entity's latest row of a stored view's Parquet, for the online store.

    Feature times without a zone are taken as UTC; values that are not finite become None, as in training.
    """
    entity = ", ".join(identifier(name) for name in view.entity)
    time = identifier(str(view.feature_time))
    with connect(table.parent, resources, [table]) as connection:
        cursor = connection.execute(
            f"SELECT * FROM read_parquet({literal(str(table))}) "
            f"QUALIFY row_number() OVER (PARTITION BY {entity} ORDER BY {time} DESC) = 1 ORDER BY {entity}"
        )
        names = [column[0] for column in cursor.description]
        keys = {*view.entity, view.feature_time}
        while chunk := cursor.fetchmany(10_000):
            for row in chunk:
                values = dict(zip(names, row, strict=True))
                moment = values[str(view.feature_time)]
                yield OnlineRow(
                    tuple(_plain(values[name]) for name in view.entity),
                    moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC),
                    {name: _plain(value) for name, value in values.items() if name not in keys},
                )


def create_dataset_view(connection: duckdb.DuckDBPyConnection, dataset: Dataset, snapshots: Sequence[Path]) -> None:
    """Make snapshots readable under the dataset's name, with exactly the columns of its contract.

    A snapshot from before the contract had a column holds nulls there.
    """
    source = dataset_rows(connection, dataset, snapshots)
    connection.execute(f"CREATE OR REPLACE VIEW {identifier(dataset.name)} AS {source}")


def dataset_rows(connection: duckdb.DuckDBPyConnection, dataset: Dataset, snapshots: Sequence[Path]) -> str:
    """Return the SELECT of the contract's columns over snapshots, in order."""
    files = ", ".join(literal(str(path)) for path in snapshots)
    source = f"read_parquet([{files}], union_by_name = true)"
    present = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    columns = ", ".join(
        f"CAST({identifier(name) if name in present else 'NULL'} AS {SQL_TYPES[column.type]}) AS {identifier(name)}"
        for name, column in dataset.columns.items()
    )
    return f"SELECT {columns} FROM {source}"


def _run(connection: duckdb.DuckDBPyConnection, view: FeatureView, query: str) -> None:
    try:
        connection.execute(f"CREATE TABLE {identifier(_RESULT)} AS {query}")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise DefinitionError(f"features/{view.name}.sql: {str(error).splitlines()[0]}") from error


def _plain(value: object) -> float | int | str | bool | None:
    """Return a value as the online store keeps it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
