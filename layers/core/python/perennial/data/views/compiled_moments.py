"""Functions of dates, timestamps and intervals in a compiled view, by their names in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perennial.data.views.compiled_casts import cast
from perennial.data.views.compiled_types import WHOLE, NotCompiledError, Typed, apply

Compiler = Callable[[Sequence[Typed], str], Typed | None]
_TIMES = ("DATE", "TIMESTAMP")
_NAMES = ("year", "isoyear", "quarter", "month", "week", "day", "isodow", "doy", "dow", "epoch")
_TIME_NAMES = ("hour", "minute", "second", "millisecond", "microsecond")
_ALIASES = {"dayofmonth": "day", "dayofweek": "dow", "weekday": "dow", "dayofyear": "doy", "weekofyear": "week"}
_PARTS = {name: name for name in (*_NAMES, *_TIME_NAMES)} | _ALIASES
_STRETCHES = ("year", "quarter", "month", "week", "day", "hour", "minute", "second", "millisecond", "microsecond")
_MAX_MONTHS = 12_000
_MAX_DAYS = 31 * _MAX_MONTHS
_DAY = 86_400_000_000


def _named_part(name: str) -> Compiler:
    def compile_part(children: Sequence[Typed], found: str) -> Typed | None:
        return _part(name, children[0]) if len(children) == 1 else None

    return compile_part


def _part_named(text: str) -> str | None:
    """Return the part that a text names, in the plural as well."""
    name = text.lower()
    return _PARTS.get(name) or (name[:-1] if name[:-1] in _STRETCHES and name.endswith("s") else None)


def _date_part(children: Sequence[Typed], found: str) -> Typed | None:
    name, moment = children
    part = None if name.literal is None else _part_named(name.literal)
    return None if part is None else _part(part, moment)


def _part(name: str, moment: Typed) -> Typed | None:
    if moment.type == "INTERVAL" and moment.code[0] == "between":
        if name == "epoch":
            return apply("DOUBLE", "interval_epoch", moment)
        return apply("BIGINT", "interval_day", moment) if name == "day" else None
    if moment.type not in _TIMES:
        return None
    if name == "epoch":
        return apply("DOUBLE", "epoch", cast(moment, "TIMESTAMP"))
    return apply("BIGINT", "part", moment, parameters=(name, moment.type))


def _date_trunc(children: Sequence[Typed], found: str) -> Typed | None:
    name, moment = children
    stretch = None if name.literal is None else _part_named(name.literal)
    if stretch not in _STRETCHES or moment.type not in _TIMES:
        return None
    truncated = apply("TIMESTAMP", "truncate", moment, parameters=(stretch, moment.type))
    return cast(truncated, found)


def _date_diff(children: Sequence[Typed], found: str) -> Typed | None:
    name, start, end = children
    stretch = None if name.literal is None else _part_named(name.literal)
    # The engine's count of weeks is none of those that one would think of.
    if stretch not in _STRETCHES or stretch == "week" or start.type not in _TIMES or end.type not in _TIMES:
        return None
    wanted = start.type if start.type == end.type else "TIMESTAMP"
    pair = (cast(start, wanted), cast(end, wanted))
    return apply("BIGINT", "difference", *pair, parameters=(stretch, wanted))


def plus(children: Sequence[Typed], found: str) -> Typed | None:
    """Compile a sum with a date or timestamp in it; None if there is none."""
    if len(children) != 2:
        return None
    first, second = children if children[0].type in _TIMES else reversed(children)
    return _moved(first, second, 1)


def minus(children: Sequence[Typed], found: str) -> Typed | None:
    """Compile a difference with a date or timestamp in it; None if there is none."""
    if len(children) != 2:
        return None
    first, second = children
    if first.type == second.type == "DATE":
        return apply("BIGINT", "difference", second, first, parameters=("day", "DATE"))
    if first.type in _TIMES and second.type in _TIMES:
        return apply("INTERVAL", "between", cast(first, "TIMESTAMP"), cast(second, "TIMESTAMP"))
    return _moved(first, second, -1)


def _moved(moment: Typed, step: Typed, sign: int) -> Typed | None:
    """Compile a moment that a constant is added to or taken from."""
    if moment.type not in _TIMES or step.code[0] != "value" or step.code[1][1] is None:
        return None
    value = step.code[1][1]
    if moment.type == "DATE" and step.type in WHOLE:
        if abs(value) > _MAX_DAYS:
            raise NotCompiledError("a date moved by more than 1,000 years")
        return apply("DATE", "days_later", moment, parameters=(sign * value,))
    if step.type != "INTERVAL":
        return None
    months, days, micros = value
    if abs(months) > _MAX_MONTHS or abs(days) > _MAX_DAYS or abs(micros) > _MAX_DAYS * _DAY:
        raise NotCompiledError("a moment moved by more than 1,000 years")
    parameters = (moment.type, sign * months, sign * days, sign * micros)
    return apply("TIMESTAMP", "later", moment, parameters=parameters)


def _name_of(operation: str) -> Compiler:
    def compile_name(children: Sequence[Typed], found: str) -> Typed | None:
        if len(children) != 1 or children[0].type not in _TIMES:
            return None
        return apply("VARCHAR", operation, cast(children[0], "DATE"))

    return compile_name


def _epoch_ms(children: Sequence[Typed], found: str) -> Typed | None:
    if len(children) != 1 or children[0].type not in _TIMES:
        return None
    return apply("BIGINT", "epoch_millisecond", cast(children[0], "TIMESTAMP"))


MOMENTS: dict[str, Compiler] = {
    **{name: _named_part(part) for name, part in _PARTS.items()},
    **dict.fromkeys(("date_part", "datepart"), _date_part),
    **dict.fromkeys(("date_trunc", "datetrunc"), _date_trunc),
    **dict.fromkeys(("date_diff", "datediff"), _date_diff),
    "dayname": _name_of("weekday_name"),
    "monthname": _name_of("month_name"),
    "epoch_ms": _epoch_ms,
}
