"""Which features of a model are categorical: by its definition, and by the SQL types of its views' columns."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb

from perennial.data.contract.column_sql import table_columns
from perennial.data.engine import connect
from perennial.data.views.view_parts import table_select
from perennial.definitions import FeatureView, Model
from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError
from perennial.manifest import feature_column
from perennial.sql import identifier

TEXT = "VARCHAR"
"""The SQL type of a text."""


def is_categorical(model: Model, view: str, column: str, sql_type: str) -> bool:
    """Tell what a feature of an SQL type is to a model: text is categorical, and so is what `preprocessing` says is."""
    return sql_type == TEXT or model.preprocessing.get(f"{view}.{column}") == "categorical"


def categorical_features(model: Model, definitions: Definitions) -> tuple[str, ...]:
    """Return a model's categorical feature columns, each ``view__column``, in the order of its features.

    The views' SELECTs are bound to empty tables by an engine that can reach no file.

    Raises
    ------
    DefinitionError
        A view's SQL does not run, or gives no such column.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder)) as connection:
        for name, columns in model.features.items():
            types = _types(connection, definitions, definitions.view(name))
            for column in columns:
                if column not in types:
                    raise DefinitionError(
                        f"features/{name}.sql: gives no column {column!r}; model {model.name} reads it"
                    )
                if is_categorical(model, name, column, types[column]):
                    found.append(feature_column(name, column))
    return tuple(found)


def _types(connection: duckdb.DuckDBPyConnection, definitions: Definitions, view: FeatureView) -> dict[str, str]:
    """Return the SQL types of a view's columns by name."""
    for dataset in definitions.datasets_of(view.name):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {identifier(dataset.name)} ({table_columns(dataset)})")
    _make_tables(connection, definitions, view)
    try:
        described = connection.execute(f"DESCRIBE SELECT * FROM (\n{view.sql}\n)").fetchall()
    except duckdb.Error as error:
        raise DefinitionError(f"features/{view.name}.sql: {str(error).splitlines()[0]}") from error
    return {row[0]: row[1] for row in described}


def _make_tables(connection: duckdb.DuckDBPyConnection, definitions: Definitions, view: FeatureView) -> None:
    """Make an empty table of each view that a view reads."""
    for read in definitions.reads(view.name)[1]:
        _make_tables(connection, definitions, read)
        connection.execute(f"CREATE TABLE IF NOT EXISTS {identifier(read.name)} AS {table_select(read)} LIMIT 0")
