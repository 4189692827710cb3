"""What the text columns of a training set's train part hold: categories to learn, classes to tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from perennial.definitions import Model
from perennial.encoding import MAX_CATEGORIES
from perennial.errors import DataError
from perennial.sql import identifier, literal

MAX_CLASSES = 1000
"""Most classes of a model."""
MAX_BYTES = 100_000
"""Most bytes of all categories and classes together: they stand in records, which the catalog keeps to 400 kB, and in
the answers of steps, which a state machine keeps to 256 kB."""


def categories_of(connection: duckdb.DuckDBPyConnection, train: Path, feature: str) -> tuple[str, ...]:
    """Return the most frequent `MAX_CATEGORIES` values of a text column (of equals, the first by name), in order."""
    column = identifier(feature)
    query = (
        f"SELECT {column} FROM {_rows(train)} WHERE {column} IS NOT NULL "
        f"GROUP BY {column} ORDER BY count(*) DESC, {column} LIMIT {MAX_CATEGORIES}"
    )
    return tuple(sorted(value for (value,) in connection.execute(query).fetchall()))


def classes_of(connection: duckdb.DuckDBPyConnection, train: Path, model: Model) -> tuple[str, ...]:
    """Return what a model tells apart, in order; nothing of a regression.

    Raises
    ------
    DataError
        The rows do not have two classes, or more than `MAX_CLASSES`.
    """
    if model.task == "regression":
        return ()
    query = f"SELECT DISTINCT target FROM {_rows(train)} ORDER BY target LIMIT {MAX_CLASSES + 1}"
    found = [value for (value,) in connection.execute(query).fetchall()]
    place = f"target and filter in models/{model.name}.toml"
    if len(found) < 2:
        only = (str(bool(found[0])).lower() if model.task == "binary" else repr(found[0])) if found else "unknown"
        raise DataError(
            f"model {model.name}: the target is {only} in all rows before the holdout, so there is nothing to tell "
            f"apart; upload rows of other kinds, or check {place}"
        )
    if len(found) > MAX_CLASSES:
        raise DataError(
            f"model {model.name}: the target has more than {MAX_CLASSES:,} classes; group rare ones, or check {place}"
        )
    return ("false", "true") if model.task == "binary" else tuple(sorted(found))


def require_small(model: Model, categories: Mapping[str, Sequence[str]], classes: Sequence[str]) -> None:
    """Make sure that categories and classes fit a record.

    Raises
    ------
    DataError
        They have more than `MAX_BYTES` bytes; the message names the column with most of them.
    """
    sizes = {name: sum(len(value.encode()) for value in values) for name, values in categories.items()}
    sizes["target"] = sum(len(value.encode()) for value in classes)
    if sum(sizes.values()) > MAX_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        raise DataError(
            f"model {model.name}: the texts of its categories and classes take {sum(sizes.values()):,} bytes, more "
            f"than {MAX_BYTES:,}; those of {largest} take {sizes[largest]:,}: shorten them, as by left(x, 20)"
        )


def _rows(train: Path) -> str:
    return f"read_parquet({literal(str(train))})"
