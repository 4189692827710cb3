"""Which columns of its dataset a view's SQL reads: what a request must bring."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

import duckdb

from perennial.definitions import FeatureView
from perennial.errors import DefinitionError


def columns_read(view: FeatureView, columns: Collection[str]) -> tuple[str, ...]:
    """Return the columns that a view names anywhere in its SQL, in the dataset's order.

    Parameters
    ----------
    view : FeatureView
        Its SQL is parsed, not run.
    columns : collection of str
        The dataset's columns. All of them are read by a view with ``*`` in its SELECT.

    Raises
    ------
    DefinitionError
        The SQL is not one SELECT that DuckDB can parse.
    """
    with duckdb.connect() as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [view.sql]).fetchone()
    tree = json.loads(row[0]) if row else {}
    if tree.get("error", True):
        raise DefinitionError(f"features/{view.name}.sql: {tree.get('error_message', 'is not a SELECT')}")
    # SQL names columns in any letter case.
    named = {name.lower() for name in _names(tree)}
    return tuple(column for column in columns if "*" in named or column.lower() in named)


def _names(tree: Any) -> Iterator[str]:
    """Yield the last part of each column reference (``t.a`` gives ``a``) and ``*`` for a star."""
    if isinstance(tree, dict):
        if tree.get("class") == "STAR":
            yield "*"
        if tree.get("class") == "COLUMN_REF":
            yield tree["column_names"][-1]
        for branch in tree.values():
            yield from _names(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from _names(branch)
