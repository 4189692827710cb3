"""One JSON value against one column of a dataset's contract."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime

from perennial.definitions import Column

Value = bool | int | float | str | datetime | date | None
"""A value of a column: naive datetimes, as the dataset's own are."""

_LONGEST_ECHO = 40
_ISO_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")


def reader(column: Column) -> Callable[[object], Value]:
    """Return a function that turns a JSON value into a value of the column.

    The function raises ValueError, with what is wrong in words that follow the value's name, when the
    value is of another type, is null in a column that is not nullable, or is not among those allowed.
    """
    convert = _CONVERT[column.type](column)
    allowed = None if column.allowed is None else frozenset(column.allowed)
    low = -math.inf if column.min is None else column.min
    high = math.inf if column.max is None else column.max
    bounded = column.min is not None or column.max is not None

    def read(value: object) -> Value:
        if value is None:
            if column.nullable:
                return None
            raise ValueError(f"must be {_A[column.type]}, not null")
        converted = convert(value)
        if bounded and not low <= converted <= high:  # type: ignore[operator]  # only numbers are bounded
            limit = f"below {column.min!r}" if converted < low else f"above {column.max!r}"  # type: ignore[operator]
            raise ValueError(f"is {_shown(value)}, which is {limit}")
        if allowed is not None and converted not in allowed:
            choices = ", ".join(map(repr, column.allowed or ()))
            raise ValueError(f"is {_shown(value)}, which is not among {choices}")
        return converted

    return read


_A = {
    "integer": "a whole number",
    "double": "a number",
    "string": "a text",
    "boolean": "true or false",
    "timestamp": "a timestamp",
    "date": "a date",
}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + "…"


def _integer(_: Column) -> Callable[[object], int]:
    def convert(value: object) -> int:
        # JSON has one kind of number: 1.0 is the whole number 1, as in JSON Schema.
        if type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is not int:
            raise ValueError(f"must be a whole number, not {_shown(value)}")
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"is {_shown(value)}, which is beyond 64 bits")
        return value

    return convert


def _double(_: Column) -> Callable[[object], float]:
    def convert(value: object) -> float:
        if type(value) is not float and type(value) is not int:
            raise ValueError(f"must be a number, not {_shown(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError("is beyond what a double holds")
        return number

    return convert


def _string(_: Column) -> Callable[[object], str]:
    def convert(value: object) -> str:
        if type(value) is not str:
            raise ValueError(f"must be a text, not {_shown(value)}")
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
            raise ValueError(f"must be true or false, not {_shown(value)}")
        return value

    return convert


def _timestamp(column: Column) -> Callable[[object], datetime]:
    def convert(value: object) -> datetime:
        moment = _moment(value, column)
        if moment.tzinfo is None:
            return moment
        # The dataset's times have no zone. Those of a zoned format are kept in UTC; an ISO 8601 offset that is
        # not zero could mean two things, so it is refused rather than guessed at.
        if moment.utcoffset() and "%z" not in (column.format or ""):
            raise ValueError(f"is {_shown(value)}, but the dataset's times have no zone; send it without the offset")
        return moment.astimezone(UTC).replace(tzinfo=None)

    return convert


def _date(column: Column) -> Callable[[object], date]:
    def convert(value: object) -> date:
        moment = _moment(value, column)
        if moment.time() != datetime.min.time() or moment.tzinfo is not None:
            raise ValueError(f"must be a date without a time, not {_shown(value)}")
        return moment.date()

    return convert


def _moment(value: object, column: Column) -> datetime:
    """Read a text by the column's own format, or as ISO 8601 in its extended form."""
    if type(value) is not str:
        raise ValueError(f"must be {_A[column.type]} written as text, not {_shown(value)}")
    # fromisoformat is 20 times as fast as strptime, and what it reads of these formats strptime reads alike.
    iso_first = column.format is None or column.format in _ISO_FORMATS
    moment = _from_iso(value) if iso_first else _from_format(value, column.format)
    if moment is None:
        moment = _from_format(value, column.format) if iso_first else _from_iso(value)
    if moment is None:
        example = "2019-03-01" if column.type == "date" else "2019-03-01T12:30:00"
        other = f" or like {column.format}" if column.format else ""
        raise ValueError(f"is {_shown(value)}, which is not {_A[column.type]} like {example}{other}")
    return moment


def _from_iso(text: str) -> datetime | None:
    if text[4:5] != "-" or text[7:8] != "-" or text[10:11] not in ("", "T", " "):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _from_format(text: str, layout: str | None) -> datetime | None:
    if layout is None:
        return None
    try:
        return datetime.strptime(text, layout)
    except ValueError:
        return None


_CONVERT: dict[str, Callable[[Column], Callable[[object], Value]]] = {
    "integer": _integer,
    "double": _double,
    "string": _string,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "date": _date,
}
