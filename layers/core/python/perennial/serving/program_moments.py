"""What programs do with dates, timestamps and intervals, as DuckDB does it.

A date is a number of days since 1970, a timestamp one of microseconds; neither ends where Python's do. Since the
calendar repeats every 400 years to the weekday, a day of any year is looked at by its like between 1970 and 2370.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable
from datetime import date
from typing import Any

from perennial.errors import DataError
from perennial.serving.program_parts import DAY, RefusedError

Function = Callable[..., Any]
Interval = tuple[int, int, int]

_EPOCH = 719_163  # date(1970, 1, 1).toordinal()
_CYCLE = 146_097
"""Days of 400 years."""
_HOUR, _MINUTE, _SECOND = 3_600_000_000, 60_000_000, 1_000_000
MAX_MONTHS = 12_000
"""Longest step of a date: with it, no program leaves the years that DuckDB knows."""
MAX_DAYS = 31 * MAX_MONTHS


def like(days: int) -> tuple[date, int]:
    """Return a day between 1970 and 2370 of the same month, day and weekday, and how many years it is off."""
    cycles, rest = divmod(days, _CYCLE)
    return date.fromordinal(rest + _EPOCH), 400 * cycles


def _year(days: int) -> int:
    day, off = like(days)
    return day.year + off


def _iso_year(days: int) -> int:
    day, off = like(days)
    return day.isocalendar()[0] + off


def _of_day(part: Callable[[date], int]) -> Callable[[int], int]:
    return lambda days: part(like(days)[0])


_OF_DATE: dict[str, Callable[[int], int]] = {
    "year": _year,
    "isoyear": _iso_year,
    "quarter": _of_day(lambda day: (day.month + 2) // 3),
    "month": _of_day(lambda day: day.month),
    "week": _of_day(lambda day: day.isocalendar()[1]),
    "day": _of_day(lambda day: day.day),
    "dow": lambda days: (days + 4) % 7,  # 1970 began on a Thursday
    "isodow": lambda days: (days + 3) % 7 + 1,
    "doy": _of_day(lambda day: day.timetuple().tm_yday),
}
_OF_TIME: dict[str, Callable[[int], int]] = {
    "hour": lambda micros: micros % DAY // _HOUR,
    "minute": lambda micros: micros % _HOUR // _MINUTE,
    "second": lambda micros: micros % _MINUTE // _SECOND,
    "millisecond": lambda micros: micros % _MINUTE // 1000,
    "microsecond": lambda micros: micros % _MINUTE,
}


def _part(name: str, sql_type: str) -> tuple[str, Function]:
    """Return a part of a date or a timestamp."""
    _require_moment(sql_type)
    if name in _OF_TIME:
        return "i:i", _OF_TIME[name] if sql_type == "TIMESTAMP" else lambda _: 0
    of_date = _OF_DATE[name]
    return "i:i", of_date if sql_type == "DATE" else lambda micros: of_date(micros // DAY)


def _require_moment(sql_type: str) -> None:
    if sql_type not in ("DATE", "TIMESTAMP"):
        raise DataError(f"program: {sql_type!r} is no date and no timestamp")


def _first_of_month(days: int, months: int) -> int:
    """Return the first day of the month that begins a stretch of months."""
    day, off = like(days)
    first = date(day.year, (day.month - 1) // months * months + 1, 1)
    return first.toordinal() - _EPOCH + off // 400 * _CYCLE


_TRUNC_DAYS: dict[str, Callable[[int], int]] = {
    "year": lambda days: _first_of_month(days, 12),
    "quarter": lambda days: _first_of_month(days, 3),
    "month": lambda days: _first_of_month(days, 1),
    "week": lambda days: days - (days + 3) % 7,
    "day": lambda days: days,
}
_TRUNC_TIME = {"hour": _HOUR, "minute": _MINUTE, "second": _SECOND, "millisecond": 1000, "microsecond": 1}


def _trunc(name: str, sql_type: str) -> tuple[str, Function]:
    """Return the beginning of the stretch that a moment lies in, as a timestamp."""
    _require_moment(sql_type)
    if name in _TRUNC_TIME:
        unit = _TRUNC_TIME[name]
        return "i:i", (lambda micros: micros - micros % unit) if sql_type == "TIMESTAMP" else lambda days: days * DAY
    begin = _TRUNC_DAYS[name]
    if sql_type == "DATE":
        return "i:i", lambda days: begin(days) * DAY
    return "i:i", lambda micros: begin(micros // DAY) * DAY


def _month_number(days: int) -> int:
    day, off = like(days)
    return 12 * (day.year + off) + day.month - 1


_BETWEEN_DAYS: dict[str, Callable[[int], int]] = {
    "year": _year,
    "quarter": lambda days: _month_number(days) // 3,
    "month": _month_number,
    "day": lambda days: days,
}


def _difference(name: str, sql_type: str) -> tuple[str, Function]:
    """Return how many beginnings of a stretch lie between two moments."""
    _require_moment(sql_type)
    if name in _TRUNC_TIME:
        unit = _TRUNC_TIME[name]
        if sql_type == "DATE":
            return "ii:i", lambda start, end: (end - start) * (DAY // unit)
        return "ii:i", lambda start, end: end // unit - start // unit
    number = _BETWEEN_DAYS[name]
    if sql_type == "DATE":
        return "ii:i", lambda start, end: number(end) - number(start)
    return "ii:i", lambda start, end: number(end // DAY) - number(start // DAY)


def _later(sql_type: str, months: int, days: int, micros: int) -> tuple[str, Function]:
    """Add an interval: its months first, to the last day of a shorter month, then the rest."""
    _require_moment(sql_type)
    if any(type(each) is not int for each in (months, days, micros)):
        raise DataError("program: an interval is made of whole numbers")
    if abs(months) > MAX_MONTHS or abs(days) > MAX_DAYS or abs(micros) > MAX_DAYS * DAY:
        raise DataError("program: an interval is longer than any use has it")
    rest = days * DAY + micros

    def later(moment: int) -> int:
        day, time = divmod(moment if sql_type == "TIMESTAMP" else moment * DAY, DAY)
        return (_months_later(day, months) if months else day) * DAY + time + rest

    return "i:i", later


def _months_later(days: int, months: int) -> int:
    day, off = like(days)
    years, month = divmod(12 * day.year + day.month - 1 + months, 12)
    cycles, year = divmod(years - 1970, 400)
    last = monthrange(1970 + year, month + 1)[1]
    like_day = date(1970 + year, month + 1, min(day.day, last))
    return like_day.toordinal() - _EPOCH + (off // 400 + cycles) * _CYCLE


def _days_later(days: int) -> tuple[str, Function]:
    if type(days) is not int or abs(days) > MAX_DAYS:
        raise DataError("program: a date is moved by whole days, and not by so many")
    return "i:i", lambda date: date + days


def _between(end: int, start: int) -> Interval:
    """Return what lies between two timestamps: whole days and the rest, both of one sign."""
    micros = end - start
    if not -(2**63) <= micros < 2**63:
        raise RefusedError("the timestamps are too far from each other")
    days = abs(micros) // DAY
    days = days if micros >= 0 else -days
    return 0, days, micros - days * DAY


def normal(interval: Interval) -> Interval:
    """Return an interval as DuckDB compares it: with months of 30 days and days of 24 hours."""
    months, days, micros = interval
    more = _towards_zero(days, 30)
    days -= more * 30
    much_more = _towards_zero(micros, 30 * DAY)
    micros -= much_more * 30 * DAY
    extra = _towards_zero(micros, DAY)
    return months + more + much_more, days + extra, micros - extra * DAY


def _towards_zero(value: int, unit: int) -> int:
    return value // unit if value >= 0 else -(-value // unit)


def _date_text(days: int) -> str:
    # Only of days that a request can hold, which are Python's.
    return date.fromordinal(days + _EPOCH).isoformat()


def _timestamp_text(micros: int) -> str:
    days, time = divmod(micros, DAY)
    seconds, fraction = divmod(time, _SECOND)
    text = f"{_date_text(days)} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


_WEEKDAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

FUNCTIONS: dict[str, tuple[str, Function]] = {
    "timestamp_as_date": ("i:i", lambda micros: micros // DAY),
    "date_as_timestamp": ("i:i", lambda days: days * DAY),
    "epoch": ("i:d", lambda micros: float(micros) / 1e6),
    "epoch_millisecond": ("i:i", lambda micros: _towards_zero(micros, 1000)),
    "between": ("ii:v", _between),
    "interval_epoch": ("v:d", lambda interval: float(interval[1] * 86_400) + float(interval[2]) / 1e6),
    "interval_day": ("v:i", lambda interval: interval[1]),
    "date_text": ("i:t", _date_text),
    "timestamp_text": ("i:t", _timestamp_text),
    "weekday_name": ("i:t", lambda days: _WEEKDAYS[days % 7]),
    "month_name": ("i:t", lambda days: _MONTHS[like(days)[0].month - 1]),
    "eq_interval": ("vv:b", lambda left, right: normal(left) == normal(right)),
    "ne_interval": ("vv:b", lambda left, right: normal(left) != normal(right)),
    "lt_interval": ("vv:b", lambda left, right: normal(left) < normal(right)),
    "le_interval": ("vv:b", lambda left, right: normal(left) <= normal(right)),
    "gt_interval": ("vv:b", lambda left, right: normal(left) > normal(right)),
    "ge_interval": ("vv:b", lambda left, right: normal(left) >= normal(right)),
}
MAKERS: dict[str, Callable[..., tuple[str, Function]]] = {
    "part": _part,
    "truncate": _trunc,
    "difference": _difference,
    "later": _later,
    "days_later": _days_later,
}
