"""What a definition's SQL is made of, read from DuckDB's own parser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

import duckdb

from perennial.errors import DefinitionError

Tree = dict[str, Any]

_CLAUSES = {
    "where_clause": "WHERE",
    "group_expressions": "GROUP BY",
    "having": "HAVING",
    "qualify": "QUALIFY",
    "sample": "SAMPLE",
}
_MODIFIERS = {
    "DISTINCT_MODIFIER": "DISTINCT",
    "ORDER_MODIFIER": "ORDER BY",
    "LIMIT_MODIFIER": "LIMIT",
    "LIMIT_PERCENT_MODIFIER": "LIMIT",
}
_MULTIPLYING = ("unnest", "unlist", "generate_subscripts")


@dataclass(frozen=True)
class Functions:
    """The engine's functions that definitions must not use everywhere."""

    aggregates: frozenset[str]
    """Functions over many rows."""
    unsteady: frozenset[str]
    """Functions whose value is not a matter of their arguments: the clock, randomness, the session."""


@cache
def functions() -> Functions:
    """Ask the engine for its functions."""
    with duckdb.connect() as connection:
        rows = connection.execute("SELECT function_name, function_type, stability FROM duckdb_functions()").fetchall()
    return Functions(
        aggregates=frozenset(name for name, kind, _ in rows if kind == "aggregate"),
        # Some spellings are grammar rather than functions, so the engine does not list them.
        unsteady=frozenset(name for name, _, stability in rows if stability not in (None, "CONSISTENT"))
        | {"current_time", "current_timestamp", "localtime", "localtimestamp"},
    )


def parse(sql: str, place: str) -> Tree:
    """Return the tree of the one SELECT that ``sql`` must be.

    Raises
    ------
    DefinitionError
        It is no SQL, no SELECT, or more than one.
    """
    with duckdb.connect() as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    tree: Tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        message = tree.get("error_message", "it cannot be parsed")
        if message.startswith("syntax error"):
            hint = "a column named like a word of SQL stands in double quotes"
            raise DefinitionError(f"{place}: is not SQL: {message}; {hint}")
        raise DefinitionError(f"{place}: must be one SELECT: {message[0].lower()}{message[1:].rstrip('!')}")
    if len(tree["statements"]) != 1:
        raise DefinitionError(f"{place}: must be one SELECT, not {len(tree['statements'])} statements")
    node: Tree = tree["statements"][0]["node"]
    return node


def require_row_by_row(node: Tree, table: str, place: str) -> None:
    """Make sure that a SELECT gives one row for each row of a table, computed from that row alone.

    Raises
    ------
    DefinitionError
        It names the clause or function that looks at other rows, or drops or adds some.
    """
    fault = _row_fault(node, table)
    if fault:
        raise DefinitionError(f"{place}: must go row by row over {table}, without {fault}; use a stored view for that")


def require_steady(node: Tree, place: str) -> None:
    """Make sure that the same rows always give the same values.

    Raises
    ------
    DefinitionError
        A function reads the clock, randomness or the session.
    """
    for branch in walk(node):
        name = branch.get("function_name", "").lower()
        if branch.get("class") == "COLUMN_REF" and len(branch["column_names"]) == 1:
            name = branch["column_names"][0].lower()
            name = name if name.startswith(("current_", "local")) else ""
        if name in functions().unsteady:
            raise DefinitionError(f"{place}: {name} gives another value each time; use the row's own columns")


def tables_read(node: Tree) -> list[str]:
    """Return the names, in lower case, of the tables that a SELECT reads, without those that it makes itself."""
    made = {entry["key"].lower() for branch in walk(node) for entry in branch.get("cte_map", {}).get("map", ())}
    names = [branch["table_name"].lower() for branch in walk(node) if branch.get("type") == "BASE_TABLE"]
    return [name for name in dict.fromkeys(names) if name not in made]


def walk(tree: Any) -> Iterator[Tree]:
    """Yield every node below and including a tree."""
    if isinstance(tree, dict):
        yield tree
        for branch in tree.values():
            yield from walk(branch)
    elif isinstance(tree, list):
        for branch in tree:
            yield from walk(branch)


def _row_fault(node: Tree, table: str) -> str | None:
    """Return the first thing that keeps a SELECT from going row by row, or None."""
    if node["type"] != "SELECT_NODE":
        return "UNION, INTERSECT or EXCEPT"
    return next(chain(_clause_faults(node), _source_faults(node["from_table"], table), _value_faults(node)), None)


def _clause_faults(node: Tree) -> Iterator[str]:
    if node["cte_map"]["map"]:
        yield "WITH"
    for modifier in node["modifiers"]:
        yield _MODIFIERS.get(modifier["type"], modifier["type"])
    yield from (name for clause, name in _CLAUSES.items() if node.get(clause))
    if node["aggregate_handling"] != "STANDARD_HANDLING":
        yield "GROUP BY ALL"


def _source_faults(source: Tree, table: str) -> Iterator[str]:
    if source["type"] == "JOIN":
        yield "JOIN"
    if source["type"] != "BASE_TABLE" or source["table_name"].lower() != table or source.get("sample"):
        yield "anything in FROM but that table"


def _value_faults(node: Tree) -> Iterator[str]:
    for branch in walk(node["select_list"]):
        name = branch.get("function_name", "").lower()
        if branch.get("class") == "WINDOW":
            yield f"the window function {name}"
        elif branch.get("class") == "SUBQUERY":
            yield "a subquery"
        elif name in functions().aggregates:
            yield f"the aggregate {name}"
        elif name in _MULTIPLYING:
            yield name
