"""A request view's SELECT with further columns passed through, so that one scan makes features and keeps their rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import duckdb

from perennial.data.syntax import parse, require_row_by_row
from perennial.definitions import FeatureView
from perennial.errors import DefinitionError


def passing_through(view: FeatureView, columns: Sequence[str]) -> str:
    """Return a request view's SELECT with columns of its table added behind its own.

    The view's tree, as DuckDB parses it, gets the columns, and DuckDB writes the tree as SQL again: each row's features
    stay beside what else is known of the row, with no join and no reliance on the order of rows. The SQL is parsed once
    more and must have the same tree, or the training rows would not be made by what serves.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``request``.
    columns : sequence of str
        Columns of the table that the view reads, named like none of the dataset's and none of the view's own.

    Raises
    ------
    DefinitionError
        The SQL does not go row by row, or cannot be written again as it was meant.
    """
    place = f"features/{view.name}.sql"
    node = parse(view.sql, place)
    require_row_by_row(node, view.dataset, place)
    (added,) = [parse(f"SELECT {_quoted(columns)}", place)["select_list"]] if columns else [[]]
    node["select_list"] = [*node["select_list"], *added]
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


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join('"' + name.replace('"', '""') + '"' for name in columns)


def _meaning(tree: Any) -> Any:
    """Return a tree without the places of its words in the text."""
    if isinstance(tree, dict):
        return {name: _meaning(branch) for name, branch in tree.items() if name != "query_location"}
    if isinstance(tree, list):
        return [_meaning(branch) for branch in tree]
    return tree
