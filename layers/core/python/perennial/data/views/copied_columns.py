"""Which columns of a request view are columns of its dataset under another name, or as another type."""

from __future__ import annotations

from collections.abc import Collection

from perennial.data.views.syntax import Tree, parse
from perennial.definitions import FeatureView


def copied_columns(view: FeatureView, columns: Collection[str]) -> dict[str, str]:
    """Return the view's columns that hold a dataset's column as it is or cast, each with that column.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``request``; its SQL is parsed, not run.
    columns : collection of str
        The dataset's columns.

    Raises
    ------
    DefinitionError
        The SQL is not one SELECT that DuckDB can parse.
    """
    spelt = {column.lower(): column for column in columns}  # SQL names columns in any letter case
    copies: dict[str, str] = {}
    for node in parse(view.sql, f"features/{view.name}.sql")["select_list"]:
        if node["class"] == "STAR":
            copies |= {column: column for column in columns}
            continue
        named = _named(node)
        if named is not None and named.lower() in spelt:
            copies[node["alias"] or named] = spelt[named.lower()]
    return copies


def _named(node: Tree) -> str | None:
    """Return the column that an expression is, with any casts around it; None if it is anything else."""
    while node["class"] == "CAST":
        node = node["child"]
    return str(node["column_names"][-1]) if node["class"] == "COLUMN_REF" else None
