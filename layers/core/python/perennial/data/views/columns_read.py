"""Which columns of its dataset a view's SQL reads: what a request must bring."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from perennial.data.views.syntax import Tree, parse, walk
from perennial.definitions import FeatureView


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
    return columns_named(view.sql, f"features/{view.name}.sql", columns)


def columns_named(sql: str, place: str, columns: Collection[str]) -> tuple[str, ...]:
    """Return the columns, in their order, that a SELECT names anywhere; ``*`` names all. Errors as `columns_read`."""
    # SQL names columns in any letter case.
    named = {name.lower() for name in _names(parse(sql, place))}
    return tuple(column for column in columns if "*" in named or column.lower() in named)


def _names(tree: Tree) -> Iterator[str]:
    """Yield the last part of each column reference (``t.a`` gives ``a``) and ``*`` for a star."""
    for node in walk(tree):
        if node.get("class") == "STAR":
            yield "*"
        if node.get("class") == "COLUMN_REF":
            yield node["column_names"][-1]
