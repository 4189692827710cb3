"""A request view's SELECT with further columns passed through, so that one scan makes features and keeps their rows."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import duckdb

from perennial.data.views.syntax import Tree, parse, require_row_by_row
from perennial.definitions import FeatureView
from perennial.errors import DefinitionError


@lru_cache(maxsize=16)  # parsing takes some milliseconds, and both parts of a training set ask for the same
def passing_through(view: FeatureView, columns: tuple[str, ...]) -> str:
    """Return a request view's SELECT with columns of its table added behind its own.

    The view's tree, as DuckDB parses it, gets the columns, and DuckDB writes the tree as SQL again: each row's features
    stay beside what else is known of the row, with no join and no reliance on the order of rows. The SQL is parsed once
    more and must have the same tree, or the training rows would not be made by what serves.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``request``.
    columns : tuple of str
        Columns of the table that the view reads, named like none of the dataset's and none of the view's own.

    Raises
    ------
    DefinitionError
        The SQL does not go row by row, or cannot be written again as it was meant.
    """
    place = f"features/{view.name}.sql"
    node = parse(view.sql, place)
    require_row_by_row(node, view.dataset, place)
    node["select_list"] = [*node["select_list"], *map(_reference, columns)]
    with duckdb.connect() as connection:
        try:
            statement = json.dumps({"error": False, "statements": [{"node": node, "named_param_map": []}]})
            row = connection.execute("SELECT json_deserialize_sql(?)", [statement]).fetchone()
        except duckdb.Error as error:
            raise DefinitionError(f"{place}: cannot be taken apart: {str(error).splitlines()[0]}") from error
    assert row is not None, "the query always gives a row"
    sql = str(row[0])
    if _meaning(parse(sql, place)) != _meaning(node):
        raise DefinitionError(
            f"{place}: cannot be taken apart: DuckDB writes it as another SELECT; write it more plainly"
        )
    return sql


def _reference(column: str) -> Tree:
    """Return the tree of a column's name, as DuckDB's parser gives it."""
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "query_location": 0, "column_names": [column]}


def _meaning(tree: Any) -> Any:
    """Return a tree without the places of its words in the text."""
    if isinstance(tree, dict):
        return {name: _meaning(branch) for name, branch in tree.items() if name != "query_location"}
    if isinstance(tree, list):
        return [_meaning(branch) for branch in tree]
    return tree
