"""Request views compiled: their SQL as programs that serving runs without the engine (`perennial.serving.program`).

What is compiled gives the very values of the SQL, and refuses the very rows that the SQL fails on. Whatever has a
meaning that is not reproduced to the bit is not compiled, and the engine serves that view: see `docs/adr/0025`.
The types of all expressions are the engine's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from perennial.data.views.columns_read import columns_read
from perennial.data.views.compiled_casts import as_category, as_double
from perennial.data.views.compiled_expressions import Expressions
from perennial.data.views.compiled_types import NotCompiledError, Typed
from perennial.data.views.syntax import Tree, parse, require_row_by_row, require_steady, walk
from perennial.definitions import Column, Model
from perennial.definitions.files import Definitions
from perennial.errors import DefinitionError
from perennial.manifest import feature_column
from perennial.sql import identifier, sql_type

FORMAT = 1
MAX_NODES = 5_000
"""Most expressions of a program: names of columns stand for what they name, which can multiply."""


@dataclass(frozen=True)
class Compiled:
    """What became of a view."""

    program: dict[str, Any] | None
    """JSON for `perennial.serving.program`; None if the view is left to the engine."""
    reason: str = ""
    """Why it is, as words that follow "not compiled:"; empty if there is a program."""


def compile_request_view(model: Model, definitions: Definitions, categorical: Collection[str]) -> Compiled | None:
    """Compile what a model reads of its request view; None if it has none.

    Parameters
    ----------
    model : Model
        Its features name the view and the columns wanted.
    definitions : Definitions
        Where the view and its dataset stand.
    categorical : collection of str
        The model's categorical feature columns, each ``view__column``.
    """
    view = next((each for each in map(definitions.view, model.features) if each.kind == "request"), None)
    if view is None:
        return None
    columns = definitions.dataset(view.dataset).columns
    inputs = {name: columns[name] for name in columns_read(view, columns)}
    wanted = {column: feature_column(view.name, column) in categorical for column in model.features[view.name]}
    return compile_view(view.name, view.sql, view.dataset, inputs, wanted)


def compile_view(
    name: str, sql: str, table: str, inputs: Mapping[str, Column], columns: Mapping[str, bool]
) -> Compiled:
    """Compile the columns of a request view that a model reads.

    Parameters
    ----------
    name : str
        The view's.
    sql : str
        Its SELECT, checked by `perennial check`.
    table : str
        The dataset that it reads.
    inputs : mapping
        The dataset's columns that it may read, with their contracts.
    columns : mapping
        The columns wanted, and whether each is categorical: these give texts, all others doubles.
    """
    try:
        node = parse(sql, name)
        require_row_by_row(node, table, name)
        require_steady(node, name)
        trees = _outputs(node, inputs, columns)
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            kinds = ", ".join(f"{identifier(each)} {sql_type(column)}" for each, column in inputs.items())
            connection.execute(f"CREATE TABLE {identifier(table)} ({kinds})")
            expressions = Expressions(connection, node["from_table"], inputs, trees.values())
            made = [
                [wanted, "text" if columns[wanted] else "number", _finished(expressions.of(tree), columns[wanted]).code]
                for wanted, tree in trees.items()
            ]
    except (NotCompiledError, DefinitionError) as error:
        return Compiled(None, str(error))
    except duckdb.Error as error:
        return Compiled(None, str(error).splitlines()[0])
    return Compiled({"format": FORMAT, "view": name, "columns": made})


def _finished(expression: Typed, categorical: bool) -> Typed:
    return as_category(expression) if categorical else as_double(expression)


def _outputs(node: Tree, inputs: Mapping[str, Column], wanted: Mapping[str, bool]) -> dict[str, Tree]:
    """Return the tree of each wanted column, in which every name is one of the table's columns."""
    named: dict[str, Tree] = {}
    for tree in node["select_list"]:
        if tree["class"] == "STAR":
            if any(tree.get(part) for part in ("exclude_list", "replace_list", "rename_list", "columns", "expr")):
                raise NotCompiledError("* with more to it")
            named |= {each.lower(): _reference(each) for each in inputs}
            continue
        alias = tree["alias"] or (tree["column_names"][-1] if tree["class"] == "COLUMN_REF" else "")
        plain = _without_aliases(tree, inputs, named)
        if alias:
            named[alias.lower()] = {**plain, "alias": ""}
    trees = {}
    for name in wanted:
        if name.lower() not in named:
            raise NotCompiledError(f"the column {name} has no name of its own; give it one with AS")
        trees[name] = named[name.lower()]
    if sum(1 for tree in trees.values() for _ in walk(tree)) > MAX_NODES:
        raise NotCompiledError(f"more than {MAX_NODES:,} expressions")
    return trees


def _without_aliases(tree: Any, inputs: Mapping[str, Column], named: Mapping[str, Tree]) -> Any:
    """Return a tree with the names of earlier columns of the SELECT replaced by what they stand for."""
    if isinstance(tree, list):
        return [_without_aliases(branch, inputs, named) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("class") == "COLUMN_REF" and len(tree["column_names"]) == 1:
        name = tree["column_names"][0].lower()
        if name not in {each.lower() for each in inputs} and name in named:
            return named[name]
    return {key: _without_aliases(branch, inputs, named) for key, branch in tree.items()}


def _reference(column: str) -> Tree:
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "query_location": 0, "column_names": [column]}
