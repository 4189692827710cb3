"""How names, texts and types of columns are written in the engine's SQL, wherever it runs."""

from __future__ import annotations

from perennial.definitions import Column

_TYPES = {
    "integer": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "categorical": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP",
    "date": "DATE",
}


def sql_type(column: Column) -> str:
    """Return a column's DuckDB type, in a snapshot's Parquet and of a request alike: equal types make equal values."""
    return f"DECIMAL({column.precision},{column.scale})" if column.type == "decimal" else _TYPES[column.type]


def literal(text: str) -> str:
    """Return text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
