"""SQL types as programs tell them apart, and the typed expressions that programs are compiled from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

WHOLE = {"TINYINT": 3, "SMALLINT": 5, "INTEGER": 10, "BIGINT": 19}
"""Types of whole numbers, with the digits that DuckDB gives them as decimals."""
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")
MAX_DIGITS = 38


class NotCompiledError(Exception):
    """Something of a view is left to the engine; the message says what, as words that follow "not compiled:"."""


@dataclass(frozen=True)
class Typed:
    """An expression of a program, with its SQL type."""

    type: str
    code: list[Any]
    literal: str | None = None
    """The text of a text literal: the engine reads it as whatever stands beside it."""
    constant: bool = False
    """Whether it is the same for every row."""


def decimal(sql_type: str) -> tuple[int, int] | None:
    """Return precision and scale of a decimal, or None."""
    match = _DECIMAL.fullmatch(sql_type)
    return (int(match[1]), int(match[2])) if match else None


def digits(sql_type: str) -> tuple[int, int]:
    """Return the digits before and behind the point of a whole number or decimal type."""
    if sql_type in WHOLE:
        return WHOLE[sql_type], 0
    found = decimal(sql_type)
    if found is None:
        raise NotCompiledError(f"{sql_type} where a number is expected")
    return found[0] - found[1], found[1]


def is_exact(sql_type: str) -> bool:
    """Tell whether a type is of whole numbers or decimals."""
    return sql_type in WHOLE or decimal(sql_type) is not None


def is_number(sql_type: str) -> bool:
    """Tell whether a type is of numbers that programs know."""
    return sql_type == "DOUBLE" or is_exact(sql_type)


def null(sql_type: str) -> Typed:
    """Return null, of a type."""
    return Typed(sql_type, ["value", [sql_type, None]], constant=True)


def apply(sql_type: str, operation: str, *children: Typed, parameters: tuple[Any, ...] = ()) -> Typed:
    """Return an operation applied to expressions."""
    constant = bool(children) and all(child.constant for child in children)
    return Typed(sql_type, [operation, list(parameters), *(child.code for child in children)], constant=constant)


_FALLIBLE = frozenset(
    (
        *("add", "subtract", "multiply", "divide_whole", "modulo", "negate", "abs", "cast_whole", "double_as_whole"),
        *("sqrt", "ln", "log2", "log10", "sin", "cos", "tan", "asin", "acos"),
    )
)


def may_fail(code: list[Any]) -> bool:
    """Tell whether an expression, or one within it, fails on some values."""
    operation, _, *children = code
    return operation in _FALLIBLE or any(map(may_fail, children if operation not in ("column", "value") else ()))


def moved(code: list[Any]) -> bool:
    """Tell whether the engine may rewrite an expression that it compares with a constant, and it may then not fail."""
    operation, _, *children = code
    if operation in ("add", "subtract", "multiply"):
        return any(map(_is_constant, children))
    return operation in ("cast_whole", "double_as_whole")


def _is_constant(code: list[Any]) -> bool:
    operation, _, *children = code
    return operation == "value" or (operation != "column" and all(map(_is_constant, children)))


def plain_moment(code: list[Any]) -> bool:
    """Tell whether a date or timestamp lies in the years 1 to 9999, as what a request holds does."""
    return code[0] == "column" or (
        code[0] in ("truncate", "timestamp_as_date", "date_as_timestamp") and plain_moment(code[2])
    )
