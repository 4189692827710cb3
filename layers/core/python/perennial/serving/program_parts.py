"""What programs are put together from: readers of a row, its columns and constants."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Context
from operator import itemgetter
from typing import Any, NamedTuple

from perennial.errors import DataError

Reader = Callable[[Mapping[str, Any]], Any]
"""From a row (input to its value) to a value of an expression; None stands for null."""
KINDS = {"BOOLEAN": "b", "DOUBLE": "d", "VARCHAR": "t", "INTERVAL": "v", "DATE": "i", "TIMESTAMP": "i", "NULL": "n"}
WHOLE = {"TINYINT": 8, "SMALLINT": 16, "INTEGER": 32, "BIGINT": 64}
"""Types of whole numbers, with their bits."""
_DECIMAL = re.compile(r"DECIMAL\((\d{1,2}),(\d{1,2})\)")
_EXACT = Context(prec=76)
"""Python alone would round to 28 digits; the engine's decimals have up to 38."""
_EPOCH = 719_163  # date(1970, 1, 1).toordinal()
DAY = 86_400_000_000
"""Microseconds of a day."""
_NUMBERS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


class RefusedError(Exception):
    """The SQL would fail on these values; the message says why."""


class Made(NamedTuple):
    """An expression that can be evaluated."""

    kind: str
    """What it gives: ``i`` a whole number, a decimal, a date or a timestamp, ``d`` a double, ``t`` a text, ``b`` a
    boolean, ``v`` an interval, ``n`` null."""
    read: Reader
    constant: bool = False


def bounds(name: str) -> tuple[int, int]:
    """Return the least and the greatest value of a type of whole numbers or decimals, the latter by their digits."""
    if name in WHOLE:
        return -(1 << WHOLE[name] - 1), (1 << WHOLE[name] - 1) - 1
    precision, _ = decimal(name)
    return 1 - 10**precision, 10**precision - 1


def decimal(name: str) -> tuple[int, int]:
    """Return precision and scale of ``DECIMAL(p,s)``; DataError if it is none."""
    match = _DECIMAL.fullmatch(name)
    if match is None:
        raise DataError(f"program: there is no type {name!r}")
    return int(match[1]), int(match[2])


def kind_of(name: str) -> str:
    """Return the kind (see `Made`) of an SQL type; DataError if programs do not know it."""
    if name in WHOLE:
        return "i"
    if name not in KINDS:
        decimal(name)
        return "i"
    return KINDS[name]


def column(name: str, sql_type: str) -> Made:
    """Read an input of the row."""
    value = itemgetter(name)
    kind = kind_of(sql_type)
    if sql_type == "DATE":
        return Made(kind, lambda row: None if (day := value(row)) is None else day.toordinal() - _EPOCH)
    if sql_type == "TIMESTAMP":
        return Made(kind, lambda row: None if (moment := value(row)) is None else microseconds(moment))
    if sql_type.startswith("DECIMAL"):
        scale = decimal(sql_type)[1]
        return Made(kind, lambda row: None if (number := value(row)) is None else int(number.scaleb(scale, _EXACT)))
    return Made(kind, value)


def microseconds(moment: Any) -> int:
    """Return the microseconds since 1970 of a naive datetime in UTC."""
    seconds = (moment.toordinal() - _EPOCH) * 86_400 + moment.hour * 3600 + moment.minute * 60 + moment.second
    return int(seconds * 1_000_000 + moment.microsecond)


def constant(sql_type: str, value: Any) -> Made:
    """Give the same value for every row; doubles that JSON cannot hold are ``"nan"``, ``"inf"`` and ``"-inf"``."""
    kind = kind_of(sql_type)
    if value is None:
        return Made(kind, lambda _: None, constant=True)
    if kind == "d":
        value = _NUMBERS[value] if isinstance(value, str) else float(value)
    if kind == "v":
        months, days, micros = value
        value = (int(months), int(days), int(micros))
    if type(value) is not {"i": int, "d": float, "t": str, "b": bool, "v": tuple}.get(kind):
        raise DataError(f"program: {value!r} is no {sql_type}")
    return Made(kind, lambda _: value, constant=True)
