"""Programs of request views against DuckDB: the same expressions over the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
from hypothesis import strategies as st

from perennial.data.views.compiled import Compiled, compile_view
from perennial.definitions import Column
from perennial.errors import RequestError
from perennial.serving.program import Program
from perennial.serving.request_view import connect
from perennial.sql import category, sql_type

COLUMNS = {
    **{name: Column(type="integer", nullable=True) for name in "ab"},
    **{name: Column(type="double", nullable=True) for name in "xy"},
    **{name: Column(type="string", nullable=True) for name in "su"},
    **{name: Column(type="boolean", nullable=True) for name in "pq"},
    **{name: Column(type="timestamp", nullable=True) for name in ("ts", "te")},
    **{name: Column(type="date", nullable=True) for name in "de"},
    "m": Column(type="decimal", nullable=True, precision=8, scale=2),
    "n": Column(type="decimal", nullable=True, precision=18, scale=4),
    "w": Column(type="decimal", nullable=True, precision=38, scale=10),
}
FAILS = "fails"
Row = Mapping[str, Any]

_WHOLE = st.sampled_from([0, 1, -1, 2, 7, -8, 2**63 - 1, -(2**63), 2**53 + 1, 2**31]) | st.integers(-(2**63), 2**63 - 1)
_DOUBLES = (
    st.sampled_from([0.0, -0.0, 0.5, -2.5, math.nan, math.inf, -math.inf, 2.0**63, 1e16, 1e-5, 1.005]) | st.floats()
)
_LETTERS = st.sampled_from([*"aAbB %_é☃İßΣσς😀\u3000\t\u0301ﬁᾳ"]) | st.characters(exclude_categories=["Cs"])
_TEXTS = st.sampled_from(["", "a", "abc", "  x ", "a-b", "naïve", "true"]) | st.text(
    _LETTERS.filter(lambda letter: letter != "\0"), max_size=8
)
_LEAPS = st.sampled_from([datetime(2020, 2, 29, 12, 30, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 500_000)])
_DAYS = st.sampled_from([date(2020, 2, 29), date(1969, 12, 31), date(1, 1, 1), date(9999, 12, 31)])
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": _WHOLE | st.integers(-20, 20),
    "double": _DOUBLES | st.floats(-10, 10),
    "string": _TEXTS,
    "boolean": st.booleans(),
    "timestamp": _LEAPS | st.datetimes(),
    "date": _DAYS | st.dates(),
}


def _decimals(column: Column) -> st.SearchStrategy[Decimal]:
    precision, scale = column.precision or 0, column.scale or 0
    most = 10**precision - 1
    digits = st.sampled_from([0, most, -most, 5, -15, 10**scale]) | st.integers(-most, most)
    # Text, as arithmetic of Decimals would round to 28 digits.
    return digits.map(lambda number: Decimal(f"{number}E-{scale}"))


def _values(column: Column) -> st.SearchStrategy[Any]:
    return st.none() | (_decimals(column) if column.type == "decimal" else _VALUES[column.type])


ROWS = st.lists(
    st.fixed_dictionaries({name: _values(column) for name, column in COLUMNS.items()}), min_size=1, max_size=10
)
"""Rows of `COLUMNS` as serving reads them, and NaN and infinities besides."""


@cache
def engine() -> duckdb.DuckDBPyConnection:
    """Return where views are served without a program."""
    return connect()


@cache
def is_text(expression: str) -> bool:
    """Tell whether an expression is a text to the engine: then it is a category."""
    nulls = ", ".join(f"NULL::{sql_type(column)} AS {name}" for name, column in COLUMNS.items())
    row = engine().execute(f"SELECT typeof(r) FROM (SELECT {expression} AS r FROM (SELECT {nulls}))").fetchone()
    assert row is not None
    return bool(row[0] == "VARCHAR")


def compiled(expression: str, categorical: bool) -> Compiled:
    """Compile a view of one column."""
    return compile_view("v", f"SELECT {expression} AS r FROM t", "t", COLUMNS, {"r": categorical})


@cache
def program(expression: str, categorical: bool) -> Program:
    """Return the program of an expression, which must have one."""
    made = compiled(expression, categorical)
    assert made.program is not None, f"{expression}: {made.reason}"
    return Program.read(made.program)


def _query(expressions: Sequence[tuple[str, bool]], rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    unnested = ", ".join(f"unnest(CAST(? AS {sql_type(column)}[])) AS {name}" for name, column in COLUMNS.items())
    made = ", ".join(f"{expression} AS r{place}" for place, (expression, _) in enumerate(expressions))
    chosen = ", ".join(
        category(f"r{place}") if categorical else f"CAST(r{place} AS DOUBLE)"
        for place, (_, categorical) in enumerate(expressions)
    )
    # As texts: in a list NaN would become null, and decimals doubles.
    parameters = [[_parameter(column, row[name]) for row in rows] for name, column in COLUMNS.items()]
    sql = f"WITH t AS (SELECT {unnested}) SELECT {chosen} FROM (SELECT {made} FROM t)"
    return engine().execute(sql, parameters).fetchall()


def _parameter(column: Column, value: Any) -> Any:
    return str(value) if value is not None and column.type in ("decimal", "double") else value


def assert_alike(expressions: Sequence[str], rows: Sequence[Row]) -> None:
    """Make sure that programs give what the engine gives, but for the sign of zero, and refuse what it fails on."""
    pairs = [(expression, is_text(expression)) for expression in expressions]
    found = {pair: [_by_program(pair, row) for row in rows] for pair in pairs}
    sure = [pair for pair in pairs if FAILS not in found[pair]]
    for pair, wanted in zip(sure, zip(*_by_engine(sure, rows), strict=True), strict=True):
        for row, value, given in zip(rows, found[pair], wanted, strict=True):
            assert _bare(value) == _bare(given), f"{pair[0]}: {value!r}, not {given!r}, of {dict(row)}"
    # One at a time, for what fails takes all that is asked together with it down.
    for pair in set(pairs).difference(sure):
        for row, value in zip(rows, found[pair], strict=True):
            ((given,),) = _by_engine([pair], [row])
            assert _bare(value) == _bare(given), f"{pair[0]}: {value!r}, not {given!r}, of {dict(row)}"


def _by_program(pair: tuple[str, bool], row: Row) -> Any:
    try:
        (value,) = program(*pair).run(row)
    except RequestError:
        return FAILS
    return value


def _by_engine(pairs: Sequence[tuple[str, bool]], rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Return what the engine makes of each row; `FAILS` where it refuses it."""
    try:
        return _query(pairs, rows)
    except duckdb.Error:
        if len(rows) > 1:
            return [made for row in rows for made in _by_engine(pairs, [row])]
        return [(FAILS,)] if len(pairs) == 1 else [tuple(_by_engine([pair], rows)[0][0] for pair in pairs)]


def _bare(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else (value + 0.0).hex()
    return value
