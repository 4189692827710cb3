"""Expressions of a compiled view: the engine's tree, typed by the engine, as operations of a program."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from functools import reduce
from typing import Any

import duckdb

from perennial.data.views.compiled_casts import cast, common
from perennial.data.views.compiled_functions import FUNCTIONS
from perennial.data.views.compiled_types import NotCompiledError, Typed, apply, decimal, may_fail, moved
from perennial.data.views.syntax import Tree, walk
from perennial.definitions import Column
from perennial.sql import literal, sql_type

_COMPARISONS = {
    "COMPARE_EQUAL": "eq",
    "COMPARE_NOTEQUAL": "ne",
    "COMPARE_LESSTHAN": "lt",
    "COMPARE_LESSTHANOREQUALTO": "le",
    "COMPARE_GREATERTHAN": "gt",
    "COMPARE_GREATERTHANOREQUALTO": "ge",
}
_SUFFIXES = {"DOUBLE": "double", "VARCHAR": "text", "BOOLEAN": "boolean", "INTERVAL": "interval"}


class Expressions:
    """Compiles the expressions of one view.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Has the view's table, without rows.
    source : dict
        The tree of the view's FROM.
    inputs : mapping
        The table's columns.
    roots : iterable of dict
        Trees of all that will be asked for.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: Tree,
        inputs: Mapping[str, Column],
        roots: Iterable[Tree],
    ) -> None:
        self._connection = connection
        self._inputs = {name.lower(): name for name in inputs}
        self._types = {name: sql_type(column) for name, column in inputs.items()}
        self._source = source
        self._tables = {(source["alias"] or source["table_name"]).lower()}
        self._described = self._describe([branch for root in roots for branch in _expressions(root)])

    def of(self, tree: Tree) -> Typed:
        """Compile one expression.

        Raises
        ------
        NotCompiledError
            Something in it is left to the engine.
        """
        made = self._constant(tree) if not any(branch.get("class") == "COLUMN_REF" for branch in walk(tree)) else None
        if made is None:
            compilers = {
                "COLUMN_REF": self._column,
                "FUNCTION": self._function,
                "OPERATOR": self._operator,
                "CONJUNCTION": self._conjunction,
                "COMPARISON": self._comparison,
                "BETWEEN": self._between,
                "CASE": self._case,
                "CAST": self._cast,
            }
            if tree["class"] not in compilers:
                raise NotCompiledError(f"{tree['class'].lower()} {tree.get('type', '').lower()}")
            made = compilers[tree["class"]](tree)
        found = self._described[_key(tree)]
        if made.type not in (found, "NULL"):
            raise NotCompiledError(f"an expression of type {found}")
        return made

    def _describe(self, trees: Sequence[Tree]) -> dict[str, str]:
        """Ask the engine for the types of expressions."""
        distinct = {_key(tree): tree for tree in trees}
        select = self._select([{**tree, "alias": f"c{place}"} for place, tree in enumerate(distinct.values())])
        rows = self._connection.execute(f"DESCRIBE {select}").fetchall()
        return {key: str(row[1]).strip('"') for key, row in zip(distinct, rows, strict=True)}

    def _select(self, trees: Sequence[Tree], source: Tree | None = None) -> str:
        """Return the SQL of a SELECT of expressions."""
        node: Tree = {
            "type": "SELECT_NODE",
            "modifiers": [],
            "cte_map": {"map": []},
            "select_list": list(trees),
            "from_table": source or self._source,
            "where_clause": None,
            "group_expressions": [],
            "group_sets": [],
            "aggregate_handling": "STANDARD_HANDLING",
            "having": None,
            "sample": None,
            "qualify": None,
        }
        statement = json.dumps({"error": False, "statements": [{"node": node, "named_param_map": []}]})
        row = self._connection.execute("SELECT json_deserialize_sql(?)", [statement]).fetchone()
        assert row is not None, "the query always gives a row"
        return str(row[0])

    def _constant(self, tree: Tree) -> Typed:
        """Let the engine compute what is the same for every row."""
        found = self._described[_key(tree)]
        if found == "NULL" or (tree["class"] == "CONSTANT" and tree["value"].get("is_null")):
            return Typed("NULL", ["value", ["NULL", None]], constant=True)
        sql = self._select([{**tree, "alias": "c"}], {"type": "EMPTY", "alias": "", "sample": None})
        text = tree["value"]["value"] if tree["class"] == "CONSTANT" and found == "VARCHAR" else None
        return Typed(found, ["value", [found, self._value(sql, found)]], literal=text, constant=True)

    def _value(self, sql: str, found: str) -> Any:
        """Return the one value of a SELECT as a program's JSON has it."""
        parts = "c"
        if found == "INTERVAL":  # Python's has no months
            parts = (
                "date_part('year', c) * 12 + date_part('month', c), date_part('day', c), "
                "date_part('hour', c) * 3600000000 + date_part('minute', c) * 60000000 + date_part('microsecond', c)"
            )
        row = self._connection.execute(f"SELECT {parts} FROM ({sql})").fetchone()
        assert row is not None, "a SELECT without FROM gives one row"
        if row[0] is None:
            return None
        return list(row) if found == "INTERVAL" else _as_json(row[0], found)

    def _column(self, tree: Tree) -> Typed:
        *table, name = tree["column_names"]
        known = self._inputs.get(name.lower())
        if known is None or [each.lower() for each in table] not in ([], *([each] for each in self._tables)):
            raise NotCompiledError(f"the name {'.'.join(tree['column_names'])}")
        return Typed(self._types[known], ["column", [known, self._types[known]]])

    def _function(self, tree: Tree) -> Typed:
        name = tree["function_name"].lower()
        odd = tree.get("distinct") or tree.get("filter") or (tree.get("order_bys") or {}).get("orders")
        if name not in FUNCTIONS or odd or any(child.get("alias") for child in tree["children"]):
            raise NotCompiledError(f"the function {name}")
        children = [self.of(child) for child in tree["children"]]
        if name == "nullif" and len(children) == 2:
            return apply(children[0].type, "null_where", self._compared("eq", *children), children[0])
        made = FUNCTIONS[name](children, self._described[_key(tree)])
        if made is None:
            kinds = ", ".join(child.type for child in children)
            raise NotCompiledError(f"the function {name} of ({kinds})")
        return made

    def _operator(self, tree: Tree) -> Typed:
        kind, children = tree["type"], [self.of(child) for child in tree["children"]]
        if kind == "OPERATOR_NOT":
            return apply("BOOLEAN", "not", cast(children[0], "BOOLEAN"))
        if kind in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
            found = apply("BOOLEAN", "is_null", children[0])
            return found if kind == "OPERATOR_IS_NULL" else apply("BOOLEAN", "not", found)
        if kind == "OPERATOR_COALESCE":
            return self._of_one_type(tree, "coalesce", children)
        if kind in ("COMPARE_IN", "COMPARE_NOT_IN"):
            found = self._in(children)
            return found if kind == "COMPARE_IN" else apply("BOOLEAN", "not", found)
        raise NotCompiledError(kind.lower())

    def _of_one_type(self, tree: Tree, operation: str, children: Sequence[Typed]) -> Typed:
        wanted = self._described[_key(tree)]
        return apply(wanted, operation, *(self._implicit(child, wanted) for child in children))

    def _implicit(self, expression: Typed, wanted: str) -> Typed:
        """Cast as the engine does by itself: texts only if they are written in the view."""
        if expression.literal is not None and wanted != "VARCHAR":
            sql = f"SELECT CAST({literal(expression.literal)} AS {wanted}) AS c"
            return Typed(wanted, ["value", [wanted, self._value(sql, wanted)]], constant=True)
        if "VARCHAR" in (wanted, expression.type) and expression.type not in (wanted, "NULL"):
            raise NotCompiledError(f"{expression.type} where {wanted} is expected")
        if "BOOLEAN" in (wanted, expression.type) and expression.type not in (wanted, "NULL"):
            raise NotCompiledError(f"{expression.type} where {wanted} is expected")
        if wanted == "INTERVAL":
            raise NotCompiledError("a choice of intervals")
        return cast(expression, wanted)

    def _in(self, children: Sequence[Typed]) -> Typed:
        wanted = children[0].type
        for child in children[1:]:
            wanted = wanted if child.literal is not None else common(wanted, child.type)
        if moved(children[0].code):
            raise NotCompiledError("IN of what may fail")
        return apply("BOOLEAN", "in", *(self._implicit(child, wanted) for child in children))

    def _conjunction(self, tree: Tree) -> Typed:
        children = [cast(self.of(child), "BOOLEAN") for child in tree["children"]]
        return apply("BOOLEAN", "and" if tree["type"] == "CONJUNCTION_AND" else "or", *children)

    def _comparison(self, tree: Tree) -> Typed:
        left, right = self.of(tree["left"]), self.of(tree["right"])
        if tree["type"] in ("COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM"):
            pair = self._unified(left, right)
            distinct = apply("BOOLEAN", "is_distinct", *pair)
            return distinct if tree["type"] == "COMPARE_DISTINCT_FROM" else apply("BOOLEAN", "not", distinct)
        return self._compared(_COMPARISONS[tree["type"]], left, right)

    def _compared(self, operation: str, left: Typed, right: Typed) -> Typed:
        left, right = self._unified(left, right)
        if left.type == "NULL":
            raise NotCompiledError("a comparison of nulls")
        return apply("BOOLEAN", f"{operation}_{_SUFFIXES.get(left.type, 'whole')}", left, right)

    def _unified(self, left: Typed, right: Typed) -> tuple[Typed, Typed]:
        # The engine moves constants: a + 1 > 2 is a > 1 to it, which does not fail where a + 1 would.
        if (moved(left.code) and right.constant) or (moved(right.code) and left.constant):
            raise NotCompiledError("a constant compared with what may fail")
        if left.literal is not None and right.type != "VARCHAR":
            wanted = right.type
        elif right.literal is not None and left.type != "VARCHAR":
            wanted = left.type
        else:
            wanted = common(left.type, right.type)
        if wanted == "INTERVAL" and left.type == right.type == wanted:
            return left, right
        return self._implicit(left, wanted), self._implicit(right, wanted)

    def _between(self, tree: Tree) -> Typed:
        value, lower, upper = (self.of(tree[part]) for part in ("input", "lower", "upper"))
        others = [each for each in (value, lower, upper) if each.literal is None] or [value]
        wanted = reduce(common, [each.type for each in others])
        if wanted != "INTERVAL":
            value, lower, upper = (self._implicit(each, wanted) for each in (value, lower, upper))
        return apply("BOOLEAN", "and", self._compared("ge", value, lower), self._compared("le", value, upper))

    def _case(self, tree: Tree) -> Typed:
        wanted = self._described[_key(tree)]
        children = []
        for check in tree["case_checks"]:
            condition = cast(self.of(check["when_expr"]), "BOOLEAN")
            if _conjunction_may_fail(condition.code):
                raise NotCompiledError("AND or OR in a CASE's condition, of what may fail")
            children += [condition, self._implicit(self.of(check["then_expr"]), wanted)]
        return apply(wanted, "case", *children, self._implicit(self.of(tree["else_expr"]), wanted))

    def _cast(self, tree: Tree) -> Typed:
        return cast(self.of(tree["child"]), self._described[_key(tree)], tried=tree["try_cast"])


def _expressions(tree: Any) -> Iterator[Tree]:
    """Yield every expression below and including a tree."""
    # A CASE holds its expressions in records that are none.
    return (branch for branch in walk(tree) if "class" in branch and "alias" in branch)


def _key(tree: Tree) -> str:
    """Return what tells expressions apart: not where they stand, nor how they are named."""
    return json.dumps(_bare(tree), sort_keys=True)


def _bare(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _bare(branch) for name, branch in tree.items() if name not in ("query_location", "alias")}
    return [_bare(branch) for branch in tree] if isinstance(tree, list) else tree


def _conjunction_may_fail(code: list[Any]) -> bool:
    """Tell whether it is up to the engine's order of evaluation if a condition fails."""
    operation, _, *children = code
    if operation in ("and", "or"):
        return any(map(may_fail, children))
    return operation not in ("column", "value") and any(map(_conjunction_may_fail, children))


def _as_json(value: Any, found: str) -> Any:
    """Return a value of the engine's as a program has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, datetime) and found == "TIMESTAMP":
        passed = value.replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
    if isinstance(value, date) and found == "DATE":
        return value.toordinal() - date(1970, 1, 1).toordinal()
    if isinstance(value, Decimal):
        places = decimal(found)
        assert places is not None, "only decimals are Decimal"
        return int(value.scaleb(places[1], Context(prec=76)))  # Python alone would round to 28 digits
    if isinstance(value, (bool, int, float, str)) and found not in ("DATE", "TIMESTAMP"):
        return value
    raise NotCompiledError(f"a constant of type {found}")
