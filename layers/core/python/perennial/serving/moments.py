"""Times and dates as callers of the API write them, read as the dataset's contract reads them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo

from perennial.errors import DefinitionError
from perennial.serving.columns import Column

_LONGEST_ECHO = 40
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.]\d{1,6})?)?( ?(Z|[+-]\d\d(:?\d\d)?))?)?", re.ASCII)
"""ISO 8601 in its extended form, as ingesting takes it."""
_ISO_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
_A = {"timestamp": "a timestamp", "timestamptz": "a timestamp", "date": "a date"}
_EXAMPLES = {
    "timestamp": "2019-03-01T12:30:00",
    "timestamptz": "2019-03-01T12:30:00+01:00",
    "date": "2019-03-01",
}


def shown(value: object) -> str:
    """Return a value as messages show it: cut where it is long."""
    text = getattr(value, "text", None) or repr(value)
    return text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + "…"


def moment_reader(column: Column) -> Callable[[object], datetime | date]:
    """Return a function that turns a JSON text into a value of a ``timestamp``, ``timestamptz`` or ``date`` column.

    Times become UTC, without a zone. The function raises ValueError, with what is wrong in words that follow the
    value's name.

    Raises
    ------
    DefinitionError
        The machine does not know the column's time zone.
    """
    if column.type == "date":
        return lambda value: _date(value, column)
    if column.type == "timestamp":
        return lambda value: _timestamp(value, column)
    zone = None if column.zone is None else _zone(column.zone)
    return lambda value: _timestamptz(value, column, zone)


def bound(column: Column, text: str) -> datetime | date:
    """Return a ``min`` or ``max`` (ISO 8601; UTC where it says no offset) as a value of the column."""
    moment = _in_utc(datetime.fromisoformat(text))
    return moment.date() if column.type == "date" else moment


def _date(value: object, column: Column) -> date:
    moment = _moment(value, column)
    if moment.time() != datetime.min.time() or moment.tzinfo is not None:
        raise ValueError(f"must be a date without a time, not {shown(value)}")
    return moment.date()


def _timestamp(value: object, column: Column) -> datetime:
    moment = _moment(value, column)
    # The dataset's times have no zone. Those of a zoned format are kept in UTC; an ISO 8601 offset that is
    # not zero could mean two things, so it is refused rather than guessed at.
    if moment.utcoffset() and "%z" not in (column.format or ""):
        raise ValueError(f"is {shown(value)}, but the dataset's times have no zone; send it without the offset")
    return _in_utc(moment)


def _timestamptz(value: object, column: Column, zone: tzinfo | None) -> datetime:
    moment = _moment(value, column)
    if moment.tzinfo is not None:
        return _in_utc(moment)
    if zone is None:
        raise ValueError(f"is {shown(value)}, which has no offset; send it with one, such as +01:00, or with Z")
    earlier, later = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    before, after = earlier.utcoffset(), later.utcoffset()
    assert before is not None, "a zone has an offset at all times"
    assert after is not None, "a zone has an offset at all times"
    if before < after:  # PEP 495
        raise ValueError(f"is {shown(value)}, a time that {column.zone} leaves out when its clocks go forward")
    if before > after and column.ambiguous == "reject":
        raise ValueError(
            f"is {shown(value)}, a time that comes twice in {column.zone} when its clocks go back; send its offset"
        )
    return _in_utc(later if column.ambiguous == "later" else earlier)


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # few datasets have zones; all models are loaded often

    try:
        return ZoneInfo(name)
    except ZoneInfoNotFoundError:
        raise DefinitionError(f"this machine knows no time zone {name}; install the package tzdata") from None


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise ValueError("is beyond the years 1 to 9999 in UTC") from None


def _moment(value: object, column: Column) -> datetime:
    """Read a text by the column's own format, or as ISO 8601 in its extended form."""
    if type(value) is not str:
        raise ValueError(f"must be {_A[column.type]} written as text, not {shown(value)}")
    # fromisoformat is 20 times as fast as strptime, and what it reads of these formats strptime reads alike.
    iso_first = column.format is None or column.format in _ISO_FORMATS
    moment = _from_iso(value) if iso_first else _from_format(value, column.format)
    if moment is None:
        moment = _from_format(value, column.format) if iso_first else _from_iso(value)
    if moment is None:
        other = f" or like {column.format}" if column.format else ""
        raise ValueError(f"is {shown(value)}, which is not {_A[column.type]} like {_EXAMPLES[column.type]}{other}")
    return moment


def _from_iso(text: str) -> datetime | None:
    if _ISO.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text[:11] + text[11:].replace(" ", ""))
    except ValueError:
        return None


def _from_format(text: str, layout: str | None) -> datetime | None:
    # strptime takes the digits of all scripts.
    if layout is None or any(letter.isdigit() and not letter.isascii() for letter in text):
        return None
    try:
        return datetime.strptime(text, layout)
    except ValueError:
        return None
