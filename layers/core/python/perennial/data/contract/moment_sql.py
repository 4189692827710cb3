"""The SQL that turns text into moments: ISO 8601 or a declared format, offsets, and local times of a zone."""

from __future__ import annotations

from datetime import datetime

from perennial.definitions import Column
from perennial.sql import literal
from perennial.utc import naive_utc

OF_TYPE, NOT_OF_TYPE, TOO_FINE, IN_A_GAP, TWICE = range(5)
"""What became of a text: it is null or a value of its type, it is none, it has too many digits behind the point,
it is a local time that summer time skips, or one that the end of summer time brings twice."""

EARLIEST, LATEST = "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"
"""Between these every tool can say a moment; the engine knows infinity and years beyond."""

_DAY = r"\d{4}-\d{2}-\d{2}"
_TIME = _DAY + r"([T ]\d{2}:\d{2}(:\d{2}([.]\d{1,6})?)?)?"
_SPACED = r" (Z|[+-])"
_TO_THE_MINUTE = r"^(.{16})(Z|[+-].*)$"
_UTC = r"( ?(Z|[+-]00(:?00)?))?"
_OFFSET = r" ?(Z|[+-](0\d|1[0-5])(:?[0-5]\d)?)"
_AROUND = "INTERVAL 36 HOUR"
"""Offsets are below 16 hours, so 36 hours before and behind a local time lie on both sides of what it may mean."""


def moment(column: Column, text: str, ready: str | None = None) -> str:
    """Return the SQL of a ``timestamp``, ``timestamptz`` or ``date`` column's value, null where text is none.

    Parameters
    ----------
    column : Column
        Its contract.
    text : str
        SQL of the text.
    ready : str or None
        SQL of the text's `bare_cast`, where it is at hand.
    """
    if column.zone is not None:
        return f"struct_extract({resolved(column, text)}, 'moment')"
    if column.format is not None:
        # A format with %z gives a moment with its zone, which becomes UTC; one without gives it as written.
        kind = "DATE" if column.type == "date" else "TIMESTAMP"
        return f"CAST(try_strptime({text}, {literal(column.format)}) AS {kind})"
    if column.type == "date":
        day = f"TRY_CAST({text} AS DATE)" if ready is None else ready
        # What prints as it was written needs no look at its form.
        return (
            f"CASE WHEN length({text}) = 10 AND CAST({day} AS VARCHAR) = {text} THEN {day} "
            f"WHEN regexp_full_match({text}, {literal(_DAY)}) THEN {day} END"
        )
    if column.type == "timestamptz":
        return _with_offset(text)
    # Bare casts take "epoch" and "infinity" for times and drop an offset, so the form is checked first;
    # what prints as it was written needs no look at its form.
    cast = f"TRY_CAST({text} AS TIMESTAMP)" if ready is None else ready
    return (
        f"CASE WHEN length({text}) = 19 AND CAST({cast} AS VARCHAR) = {text} THEN {cast} "
        f"WHEN regexp_full_match({text}, {literal(_TIME + _UTC)}) THEN TRY_CAST({_with_seconds(text)} AS TIMESTAMP) END"
    )


def bare_cast(column: Column, text: str) -> str | None:
    """Return the SQL of a cast that `moment` needs more than once, if it does."""
    if column.type in ("timestamp", "date") and column.format is None:
        return f"TRY_CAST({text} AS {column.type.upper()})"
    return None


def _with_offset(text: str) -> str:
    cast = f"CAST(TRY_CAST({_with_seconds(text)} AS TIMESTAMPTZ) AS TIMESTAMP)"
    return f"CASE WHEN regexp_full_match({text}, {literal(_TIME + _OFFSET)}) THEN {cast} END"


def _with_seconds(text: str) -> str:
    """The engine reads an offset only right behind seconds."""
    close = f"regexp_replace({text}, {literal(_SPACED)}, '\\1')"
    return f"regexp_replace({close}, {literal(_TO_THE_MINUTE)}, '\\1:00\\2')"


def resolved(column: Column, text: str) -> str:
    """Return the SQL of a struct (moment, outcome) of text that is a local time of the column's zone.

    Which moments a local time can mean is found from the offsets a good day before and behind it: none of them
    in a gap, two when the clock was set back.
    """
    zone = literal(str(column.zone))
    if column.format is not None and "%z" in column.format:
        return f"{{'moment': CAST(try_strptime({text}, {literal(column.format)}) AS TIMESTAMP), 'outcome': 0}}"
    if column.format is not None:
        local, plain = f"try_strptime({text}, {literal(column.format)})", "NULL::TIMESTAMP"
    else:
        form = f"regexp_full_match({text}, {literal(_TIME)})"
        local, plain = f"CASE WHEN {form} THEN TRY_CAST({text} AS TIMESTAMP) END", _with_offset(text)

    def shown(at: str) -> str:
        return f"timezone({zone}, CAST({at} AS TIMESTAMPTZ))"

    def candidate(sign: str) -> str:
        near = f"(l {sign} {_AROUND})"
        return f"l - ({shown(near)} - {near})"

    both = f"list_transform([{local}], lambda l: {{'l': l, 'a': {candidate('-')}, 'b': {candidate('+')}}})"
    first, second = f"{shown('c.a')} = c.l", f"{shown('c.b')} = c.l"
    chosen = {"reject": "NULL", "earlier": "least(c.a, c.b)", "later": "greatest(c.a, c.b)"}[column.ambiguous]
    outcome = TWICE if column.ambiguous == "reject" else OF_TYPE
    # A bare zero or null has its own type, so each branch of the CASE is cast alike.
    choice = (
        f"CASE WHEN c.l IS NULL THEN {_outcome(plain, OF_TYPE)} "
        f"WHEN {first} AND {second} AND c.a <> c.b THEN {_outcome(chosen, outcome)} "
        f"WHEN {first} THEN {_outcome('c.a', OF_TYPE)} WHEN {second} THEN {_outcome('c.b', OF_TYPE)} "
        f"ELSE {_outcome('NULL', IN_A_GAP)} END"
    )
    return f"list_transform({both}, lambda c: {choice})[1]"


def _outcome(value: str, outcome: int) -> str:
    return f"{{'moment': CAST({value} AS TIMESTAMP), 'outcome': {outcome}}}"


def bound(column: Column, text: str) -> str:
    """Return the SQL of a bound that a contract gives in ISO 8601; one with an offset becomes UTC."""
    if column.type == "date":
        return f"DATE {literal(datetime.fromisoformat(text).date().isoformat())}"
    return timestamp(datetime.fromisoformat(text))


def timestamp(at: datetime) -> str:
    """Return a moment as an SQL literal in UTC."""
    return f"TIMESTAMP {literal(naive_utc(at).isoformat(sep=' '))}"


def expected(column: Column) -> str:
    """Return how values of a column are written, for people."""
    if column.format is not None:
        return column.format
    if column.type == "date":
        return "YYYY-MM-DD"
    if column.type == "timestamptz" and column.zone is None:
        return (
            "ISO 8601 with seconds below 60 and an offset below 16 hours, such as 2019-01-31T08:00:00+01:00; "
            "only a column with a zone takes times without an offset"
        )
    if column.type == "timestamptz":
        return f"ISO 8601, such as 2019-01-31 08:00:00, in {column.zone}"
    return "ISO 8601 in UTC, such as 2019-01-31 08:00:00; a column with other offsets is a timestamptz"
