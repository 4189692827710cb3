"""One JSON value against one column of a dataset's contract."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Self

from perennial.serving.columns import Column
from perennial.serving.moments import bound, moment_reader, shown

Value = bool | int | float | str | Decimal | datetime | date | None
"""A value of a column: naive datetimes in UTC, as the dataset's own are."""

_DECIMAL = re.compile(r"\s*([+-]?)(\d+[.]?\d*|[.]\d+)\s*", re.ASCII)


class Number(float):
    """A number that JSON writes with a point or an exponent, and how it is written.

    A float keeps some 16 of a number's digits. What is exact (a decimal, a whole number of 64 bits) is read from the
    text; everything else takes the float.
    """

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        """Read a JSON number; one beyond a double is infinite."""
        number = super().__new__(cls, text)
        number.text = text
        return number


def reader(column: Column) -> Callable[[object], Value]:
    """Return a function that turns a JSON value into a value of the column.

    JSON's types are kept apart: a number is not read from a text nor a text from a number, ``true`` and ``false`` are
    the booleans. Only a decimal may be written as either, as many programs write JSON numbers from doubles. The rule
    ``pattern`` is not looked at here: see :func:`perennial.serving.payload.read_columns`.

    The function raises ValueError, with what is wrong in words that follow the value's name, when the value is of
    another type, is null in a column that is not nullable, or breaks a rule of the column.
    """
    convert = _CONVERT[column.type](column)
    check = _checker(column)

    def read(value: object) -> Value:
        if value is None:
            if column.nullable:
                return None
            raise ValueError(f"must be {_A[column.type]}, not null")
        converted = convert(value)
        if check is not None:
            check(value, converted)
        return converted

    return read


_A = {
    "integer": "a whole number",
    "double": "a number",
    "decimal": "a decimal number",
    "string": "a text",
    "categorical": "a text",
    "boolean": "true or false",
    "timestamp": "a timestamp",
    "timestamptz": "a timestamp with its offset",
    "date": "a date",
}


def _checker(column: Column) -> Callable[[object, Value], None] | None:
    """Return what checks a value against the column's rules, or None if there are none."""
    low, high = (_bound(column, limit) for limit in (column.min, column.max))
    shortest, longest = column.min_length, column.max_length
    allowed = None if column.allowed is None or column.open else frozenset(_choice(column, c) for c in column.allowed)
    if (low, high, shortest, longest, allowed) == (None,) * 5:
        return None

    def check(value: object, converted: Value) -> None:
        # Bounds are of the converted value's type, and only texts have lengths.
        if low is not None and converted < low:  # type: ignore[operator]
            raise ValueError(f"is {shown(value)}, which is below {column.min!r}")
        if high is not None and converted > high:  # type: ignore[operator]
            raise ValueError(f"is {shown(value)}, which is above {column.max!r}")
        if shortest is not None and len(converted) < shortest:  # type: ignore[arg-type]
            raise ValueError(f"is {shown(value)}, which has fewer than {shortest} characters")
        if longest is not None and len(converted) > longest:  # type: ignore[arg-type]
            raise ValueError(f"is {shown(value)}, which has more than {longest} characters")
        if allowed is not None and converted not in allowed:
            choices = ", ".join(map(repr, column.allowed or ()))
            raise ValueError(f"is {shown(value)}, which is not among {choices}")

    return check


def _bound(column: Column, limit: float | str | None) -> Value:
    if limit is None:
        return None
    if isinstance(limit, str):
        return bound(column, limit)
    return Decimal(repr(limit)) if column.type == "decimal" else limit


def _choice(column: Column, choice: float | str) -> Value:
    if column.type == "decimal":
        return Decimal(str(choice))
    return bound(column, str(choice)) if column.type in ("timestamp", "timestamptz", "date") else choice


def _integer(_: Column) -> Callable[[object], int]:
    def convert(value: object) -> int:
        # JSON has one kind of number: 1.0 and 1e3 are whole numbers, as in JSON Schema.
        if isinstance(value, float) and math.isfinite(value):
            exact = _exact(value)
            if exact is not None and abs(value) < 2**65 and exact == exact.to_integral_value():
                value = int(exact)
        if type(value) is not int:
            raise ValueError(f"must be a whole number, not {shown(value)}")
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"is {shown(value)}, which is beyond 64 bits")
        return value

    return convert


def _exact(number: float) -> Decimal | None:
    """Return the number that was written; None if its exponent is beyond what a Decimal holds."""
    try:
        return Decimal(number.text if isinstance(number, Number) else repr(number))
    except InvalidOperation:
        return None


def _double(_: Column) -> Callable[[object], float]:
    def convert(value: object) -> float:
        if not isinstance(value, float) and type(value) is not int:
            raise ValueError(f"must be a number, not {shown(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError("is beyond what a double holds")
        return number

    return convert


def _decimal(column: Column) -> Callable[[object], Decimal]:
    precision, scale = column.precision or 0, column.scale or 0

    def convert(value: object) -> Decimal:
        match = _DECIMAL.fullmatch(_decimal_text(value))
        if match is None:
            raise ValueError(f"must be a decimal number without an exponent, not {shown(value)}")
        whole, _, fraction = match[2].partition(".")
        whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
        if len(fraction) > scale:
            raise ValueError(f"is {shown(value)}, which has more than {scale} digits behind the point")
        if len(whole) > precision - scale:
            raise ValueError(f"is {shown(value)}, which has more than {precision - scale} digits before the point")
        sign = match[1] if whole or fraction else ""
        return Decimal(f"{sign}{whole or '0'}.{fraction:0<{scale}}")

    return convert


def _decimal_text(value: object) -> str:
    """Return a decimal as it is written; a float that comes without its text is written with its shortest one."""
    if isinstance(value, Number):
        return value.text
    if type(value) is float and math.isfinite(value):
        return format(Decimal(repr(value)), "f")
    if type(value) is int or type(value) is str:
        return str(value)
    raise ValueError(f"must be a decimal number, not {shown(value)}")


def _string(_: Column) -> Callable[[object], str]:
    def convert(value: object) -> str:
        if type(value) is not str:
            raise ValueError(f"must be a text, not {shown(value)}")
        if "\0" in value:
            raise ValueError("holds a NUL character, which no upload may hold either")
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError("holds half of a surrogate pair, which is not text") from None
        return value

    return convert


def _boolean(_: Column) -> Callable[[object], bool]:
    def convert(value: object) -> bool:
        if type(value) is not bool:
            raise ValueError(f"must be true or false, not {shown(value)}")
        return value

    return convert


_CONVERT: dict[str, Callable[[Column], Callable[[object], Value]]] = {
    "integer": _integer,
    "double": _double,
    "decimal": _decimal,
    "string": _string,
    "categorical": _string,
    "boolean": _boolean,
    "timestamp": moment_reader,
    "timestamptz": moment_reader,
    "date": moment_reader,
}
