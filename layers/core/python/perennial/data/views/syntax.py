"""What a definition's SQL is made of, read from DuckDB's own parser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
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
_ORDERED = (
    *("any_value", "arbitrary", "first", "last", "first_value", "last_value", "nth_value", "mode", "lag", "lead"),
    *("ntile", "list", "array_agg", "string_agg", "group_concat", "listagg", "approx_quantile", "approx_top_k"),
    *("arg_max", "arg_max_null", "arg_max_nulls_last", "argmax", "max_by"),
    *("arg_min", "arg_min_null", "arg_min_nulls_last", "argmin", "min_by"),
    *("json_group_array", "json_group_object", "json_group_structure"),
)
"""Aggregates and window functions whose value depends on the order of rows, if only where some tie."""
_SORTING = ("list_sort", "array_sort", "list_reverse_sort", "array_reverse_sort")
_GENERATING = ("range", "generate_series", "unnest")
"""Functions that may stand in FROM: they make rows of their arguments alone."""


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
        rows = connection.execute(
            "SELECT function_name, function_type, stability, macro_definition FROM duckdb_functions()"
        ).fetchall()
    macros = {name: re.sub("'[^']*'", "", text).lower() for name, _, _, text in rows if text}
    aggregates = {name for name, kind, *_ in rows if kind == "aggregate"}
    unsteady = {name for name, _, stability, _ in rows if stability not in (None, "CONSISTENT")}
    # Some spellings are grammar rather than functions, so the engine does not list them.
    unsteady |= {"current_time", "current_timestamp", "localtime", "localtimestamp", "current_setting", "getvariable"}
    return Functions(
        aggregates=_with_macros(aggregates, macros), unsteady=_with_macros(unsteady - {"error"}, macros) | {"error"}
    )


def _with_macros(names: set[str], macros: Mapping[str, str]) -> frozenset[str]:
    """Return functions with the engine's macros that call them, such as ``ago`` and ``geomean``."""
    called = {name: set(re.findall(r"\b[a-z_]+(?=\()|\bcurrent_timestamp\b", text)) for name, text in macros.items()}
    callers = {name for name in macros if names & called[name]}
    return frozenset(names) if callers <= names else _with_macros(names | callers, macros)


@lru_cache(maxsize=256)
def _serialized(sql: str) -> str:
    """Return what the engine's parser makes of SQL, as JSON; kept, for steps ask it of the same few texts often."""
    with duckdb.connect() as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    return str(row[0]) if row else '{"error": true}'


def parse(sql: str, place: str) -> Tree:
    """Return the tree of the one SELECT that ``sql`` must be.

    Raises
    ------
    DefinitionError
        It is no SQL, no SELECT, or more than one.
    """
    tree: Tree = json.loads(_serialized(sql))
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
        today = name == "age" and len(branch.get("children", ())) == 1  # since today
        if today or name in functions().unsteady:
            raise DefinitionError(f"{place}: {name} gives another value each time; use the row's own columns")


def require_ordered(node: Tree, place: str) -> None:
    """Make sure that a SELECT reads tables, and says what order it means wherever the order of their rows matters.

    Rows that tie in an ORDER BY are not seen here; whether it matters how they come is tried on the rows.

    Raises
    ------
    DefinitionError
        It names the function or clause, and what to write instead.
    """
    # The engine reads list(x ORDER BY x) as list_sort(list(x)).
    sorting = [branch for branch in walk(node) if branch.get("function_name", "").lower() in _SORTING]
    settled = {id(child) for branch in sorting for child in branch["children"][:1]}
    for branch in walk(node):
        fault = next(_order_faults(branch), None)
        if fault and not (id(branch) in settled and branch.get("function_name", "").lower() in ("list", "array_agg")):
            raise DefinitionError(f"{place}: {fault}")


def _order_faults(branch: Tree) -> Iterator[str]:
    if branch.get("sample"):
        yield "a sample is of other rows each time; filter by hash() of a column"
    if branch.get("ref_type") == "POSITIONAL":
        yield "POSITIONAL JOIN depends on the order of rows; join on columns"
    if branch.get("type") == "TABLE_FUNCTION" and branch["function"]["function_name"].lower() not in _GENERATING:
        name = branch["function"]["function_name"].lower()
        yield f"reads {name}(), which is no table of the header; name datasets and views in FROM"
    if branch.get("type") == "SHOW_REF":
        yield "reads a description of a table; name datasets and views in FROM"
    if branch.get("class") == "COLUMN_REF" and branch["column_names"][-1].lower() == "rowid":
        yield "rowid is a matter of how rows are kept; use the row's own columns"
    yield from _function_faults(branch)
    modifiers = {each["type"]: each for each in branch.get("modifiers", ())}
    if "ORDER_MODIFIER" not in modifiers:
        if modifiers.keys() & {"LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER"}:
            yield "LIMIT without ORDER BY takes whatever rows come first; add ORDER BY"
        if modifiers.get("DISTINCT_MODIFIER", {}).get("distinct_on_targets"):
            yield "DISTINCT ON without ORDER BY takes whatever rows come first; add ORDER BY"


def _function_faults(branch: Tree) -> Iterator[str]:
    name = branch.get("function_name", "").lower()
    if name == "reservoir_quantile":
        yield "reservoir_quantile draws a sample; use quantile_cont"
    if name not in _ORDERED:
        return
    if branch["class"] == "WINDOW":
        if not branch["orders"] and not branch["arg_orders"]:
            yield f"{name} depends on the order of rows; add ORDER BY within its OVER (…)"
    elif not (branch.get("order_bys") or {}).get("orders"):
        instead = "; or use max or min" if name in ("any_value", "arbitrary", "first", "last") else ""
        yield f"{name} depends on the order of rows; write {name}(… ORDER BY …) with columns that leave no tie{instead}"


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
