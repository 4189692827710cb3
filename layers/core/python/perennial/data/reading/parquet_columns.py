"""How a Parquet file's columns become a contract's: which types fit, and which single values do not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from perennial.data.reading.sources import MAX_RECORD
from perennial.definitions import Column
from perennial.sql import literal, sql_type

NO_VALUES = "NULL"
"""Type of a column of which the file says that all its values are absent."""

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_EXACT_IN_DOUBLE = ("FLOAT", "DOUBLE", "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER")
_WALL_CLOCK = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_MOMENT = "TIMESTAMP WITH TIME ZONE"
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


@dataclass(frozen=True)
class Check:
    """What a single value must fulfil to be taken over as it is."""

    fits: str
    """SQL that is false for a value that does not."""
    reason: str
    """What the quarantine says of such a value, behind its column and text."""
    rule: str = "type"


@dataclass(frozen=True)
class Conversion:
    """How values of one column are taken over."""

    sql: str
    """SQL of the value, without loss wherever all checks hold."""
    native: bool = True
    """Whether the value is of the contract's SQL type; if not, it is text that is yet to be typed."""
    checks: tuple[Check, ...] = ()
    """What a row breaks whose value would not survive."""


def conversion(column: Column, found: str, value: str) -> Conversion | None:
    """Return how a column of a Parquet file becomes one of the contract, or None if its type does not fit.

    Taken are the contract's own types and those that widen to them without loss.

    Parameters
    ----------
    column : Column
        What the contract wants.
    found : str
        The engine's name of the file's type, or `NO_VALUES`.
    value : str
        SQL of the file's value.
    """
    if found == NO_VALUES:
        return Conversion(f"CAST(NULL AS {sql_type(column)})")
    if column.type == "integer" and found in _INTEGERS:
        small = Check(f"{value} <= {2**63 - 1}", "is not a whole number of at most 64 bits")
        return Conversion(f"TRY_CAST({value} AS BIGINT)", checks=(small,) if found == "UBIGINT" else ())
    if column.type == "double" and found in (*_EXACT_IN_DOUBLE, "BIGINT"):
        exact = Check(f"{value} BETWEEN {-(2**53)} AND {2**53}", "has more digits than a double holds")
        return Conversion(f"CAST({value} AS DOUBLE)", checks=(exact,) if found == "BIGINT" else ())
    if column.type == "decimal":
        return _decimal(column, found, value)
    if column.type in ("string", "categorical") and (found in ("VARCHAR", "JSON") or found.startswith("ENUM(")):
        text = f"CAST({value} AS VARCHAR)"
        short = Check(f"strlen({text}) <= {MAX_RECORD}", f"is longer than {MAX_RECORD >> 20} MiB", "too_long")
        return Conversion(text, checks=(short, Check(f"NOT contains({text}, chr(0))", "holds a NUL byte", "nul_byte")))
    if column.type == "boolean" and found == "BOOLEAN":
        return Conversion(value)
    if column.type == "date" and found == "DATE":
        return Conversion(value)
    return _moment(column, found, value) if column.type in ("timestamp", "timestamptz") else None


def expected(column: Column) -> str:
    """Return what a column is to be, for people."""
    if column.type == "timestamptz" and column.zone is None:
        return "timestamptz, which without a zone in the contract is a timestamp adjusted to UTC"
    return sql_type(column) if column.type == "decimal" else column.type


def _decimal(column: Column, found: str, value: str) -> Conversion | None:
    target, wanted, match = sql_type(column), _DECIMAL.fullmatch(sql_type(column)), _DECIMAL.fullmatch(found)
    if match is not None and wanted is not None:
        behind, wanted_behind = int(match[2]), int(wanted[2])
        fitting = behind <= wanted_behind and int(match[1]) - behind <= int(wanted[1]) - wanted_behind
        return Conversion(f"CAST({value} AS {target})") if fitting else None
    if found in _INTEGERS:
        cast = f"TRY_CAST({value} AS {target})"
        return Conversion(cast, checks=(Check(f"{value} IS NULL OR {cast} IS NOT NULL", f"does not fit {target}"),))
    return None


def _moment(column: Column, found: str, value: str) -> Conversion | None:
    if found == _MOMENT:
        return Conversion(f"timezone('UTC', {value})")
    if found not in _WALL_CLOCK or (column.type == "timestamptz" and column.zone is None):
        return None
    cast = f"CAST({value} AS TIMESTAMP)"
    coarse = Check(f"NOT isfinite({value}) OR epoch_ns({value}) % 1000 = 0", "is finer than a microsecond")
    checks = (coarse,) if found == "TIMESTAMP_NS" else ()
    if column.type == "timestamp":
        return Conversion(cast, checks=checks)
    # A local time means a moment only by its zone's rules, which are those of text.
    text = f"strftime({cast}, {literal(column.format)})" if column.format else f"CAST({cast} AS VARCHAR)"
    return Conversion(text, native=False, checks=checks)
