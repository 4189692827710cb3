"""How names, texts and types of columns are written in the engine's SQL, wherever it runs."""

from __future__ import annotations

from typing import Protocol


class Column(Protocol):
    """A column of a dataset, as far as its SQL type needs it."""

    @property
    def type(self) -> str: ...
    @property
    def precision(self) -> int | None: ...
    @property
    def scale(self) -> int | None: ...


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


def category(expression: str) -> str:
    """Return the SQL text of a categorical value: null for null and for a number that is not finite.

    Texts are as they are; booleans and whole numbers of up to 64 bits are what SQL writes of them. Every other number
    is written as a double, with one zero: the online store keeps it so, and the text must be the same from there. The
    expression's type need not be known, for it is asked of the engine.

    Parameters
    ----------
    expression : str
        A column's name, quoted: it is repeated.
    """
    wide = f"typeof({expression}) IN ('FLOAT', 'DOUBLE', 'HUGEINT', 'UHUGEINT') OR typeof({expression}) LIKE 'DECIMAL%'"
    double = f"TRY_CAST({expression} AS DOUBLE)"
    written = f"CASE WHEN isfinite({double}) THEN CAST({double} + 0.0::DOUBLE AS VARCHAR) END"
    return f"CASE WHEN {wide} THEN {written} ELSE CAST({expression} AS VARCHAR) END"
