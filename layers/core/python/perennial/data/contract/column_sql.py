"""The SQL of a dataset's contract: how a column's text becomes a value, and what makes a row bad."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from perennial.data.contract import moment_sql
from perennial.data.contract.moment_sql import IN_A_GAP, NOT_OF_TYPE, OF_TYPE, TOO_FINE, TWICE
from perennial.definitions import Column, Dataset, Scalar
from perennial.sql import identifier, literal, sql_type

_TEXTS = ("string", "categorical")
_MOMENTS = ("timestamp", "timestamptz", "date")
WHOLE_LIMIT = 2**53
"""Whole numbers below it are told apart as doubles."""

# The engine's casts leave out these characters around a number, some more than RE2's \s.
_SPACE = r"[ \x09-\x0d]*"
_PLAIN = _SPACE + r"[+-]?(\d+[.]?\d*|[.]\d+)" + _SPACE
_WHOLE = _SPACE + r"[+-]?\d+([.]0*)?" + _SPACE
_SCIENTIFIC = _SPACE + r"[+-]?(\d+[.]?\d*|[.]\d+)([eE][+-]?\d+)?" + _SPACE


@dataclass(frozen=True)
class Fault:
    """One way in which a row can break its contract."""

    column: str | None
    rule: str
    reason: str
    """A sentence; ``{value}`` stands for the text of the column."""
    condition: str
    """SQL over typed columns and outcomes that is true for a bad row."""

    @property
    def name(self) -> str:
        """The rule with its column, as reports count it."""
        return f"{self.column}: {self.rule}" if self.column else self.rule


@dataclass(frozen=True)
class Limits:
    """Where the event times of one file must lie: naive UTC, ``start`` <= time < ``end``, time <= ``uploaded_at``."""

    uploaded_at: datetime | None = None
    start: datetime | None = None
    end: datetime | None = None


def raw(position: int) -> str:
    """Return the SQL name of a column's raw text; no dataset can have a column of that name."""
    return identifier(f"\x01{position}")


def outcome(position: int) -> str:
    """Return the SQL name of the column that tells what became of a column's text (``moment_sql.OF_TYPE`` …)."""
    return identifier(f"\x01outcome{position}")


def table_columns(dataset: Dataset) -> str:
    """Return the column list of a table of the dataset's rows."""
    return ", ".join(f"{identifier(name)} {sql_type(column)}" for name, column in dataset.columns.items())


def typed(column: Column, text: str, ready: str | None = None) -> str:
    """Return the SQL that turns text into a value of the column, or into null where it is no such value.

    Parameters
    ----------
    column : Column
        Its contract.
    text : str
        SQL of the text.
    ready : str or None
        SQL of the text's `_bare_cast`, where it is at hand.
    """
    if column.type == "integer":
        # What prints as it was written needs no look at its form; a cast alone rounds 1.5 and takes 0x1F and 1_000.
        cast, double = f"TRY_CAST({text} AS BIGINT)", f"TRY_CAST({text} AS DOUBLE)"
        return (
            f"CASE WHEN CAST({cast} AS VARCHAR) = {text} OR regexp_full_match({text}, {literal(_WHOLE)}) THEN {cast} "
            f"WHEN regexp_full_match({text}, {literal(_SCIENTIFIC)}) THEN {whole(double)} END"
        )
    if column.type == "double":
        # The cast takes 1_000 and +-5 for numbers.
        return f"CASE WHEN NOT contains({text}, '_') AND NOT contains({text}, '+-') THEN TRY_CAST({text} AS DOUBLE) END"
    if column.type == "decimal":
        fine = f"regexp_matches({text}, {literal(_too_fine(column))})"
        cast = f"TRY_CAST({text} AS {sql_type(column)})" if ready is None else ready
        # What prints as it was written, but for zeros behind it, needs no look at its form.
        return (
            f"CASE WHEN starts_with(CAST({cast} AS VARCHAR), {text}) THEN {cast} "
            f"WHEN regexp_full_match({text}, {literal(_PLAIN)}) AND NOT {fine} THEN {cast} END"
        )
    if column.type == "boolean":
        return f"TRY_CAST({text} AS BOOLEAN)"
    if column.type in _TEXTS:
        return text
    return moment_sql.moment(column, text, ready)


def _bare_cast(column: Column, text: str) -> str | None:
    """Return the SQL of a cast that `typed` needs more than once, if it does."""
    if column.type == "decimal":
        return f"TRY_CAST({text} AS {sql_type(column)})"
    return moment_sql.bare_cast(column, text)


def whole(double: str) -> str:
    """Return the SQL of a double as a whole number, null if it is none or too large to be sure."""
    return f"CASE WHEN {double} = trunc({double}) AND abs({double}) < {WHOLE_LIMIT} THEN CAST({double} AS BIGINT) END"


def _too_fine(column: Column) -> str:
    return rf"[.]\d{{{column.scale}}}\d*[1-9]"


def typing(dataset: Dataset, select: str, coded: Collection[int], doubles: Collection[int] = ()) -> str:
    """Return the SELECT that turns raw columns into typed ones, and outcomes of those in ``coded``.

    Parameters
    ----------
    dataset : Dataset
        The contract.
    select : str
        Gives a column ``raw(i)`` for each column of the contract.
    coded : collection of int
        Columns that are text and may fail to be typed.
    doubles : collection of int
        Columns of whole numbers that were read as doubles; the SELECT fails where one is not whole or too large.
        The remaining columns are of their SQL type.
    """
    casts, inner, outputs = ["*"], ["*"], []
    for position, (name, column) in enumerate(dataset.columns.items()):
        text, value = raw(position), identifier(f"\x01value{position}")
        if position in doubles:
            # The statement must fail, so that the stretch is read as text.
            doubtful = f"{text} <> trunc({text}) OR abs({text}) >= {WHOLE_LIMIT}"
            inner.append(f"CASE WHEN {doubtful} THEN error('not whole') ELSE CAST({text} AS BIGINT) END AS {value}")
        elif position not in coded:
            inner.append(f"{text} AS {value}")
        elif column.zone is not None:
            inner.append(f"{moment_sql.resolved(column, text)} AS {value}")
        elif (cast := _bare_cast(column, text)) is not None:
            ready = identifier(f"\x01cast{position}")
            casts.append(f"{cast} AS {ready}")
            inner.append(f"{typed(column, text, ready)} AS {value}")
        else:
            inner.append(f"{typed(column, text)} AS {value}")
        zoned = position in coded and column.zone is not None
        outputs.append(f"{value}.moment AS {identifier(name)}" if zoned else f"{value} AS {identifier(name)}")
        if position in coded:
            outputs.append(f"CAST({_outcome(column, text, value)} AS UTINYINT) AS {outcome(position)}")
    cast_rows = f"(SELECT {', '.join(casts)} FROM ({select}))" if casts[1:] else f"({select})"
    return f"SELECT {', '.join(outputs)} FROM (SELECT {', '.join(inner)} FROM {cast_rows})"


def _outcome(column: Column, text: str, value: str) -> str:
    if column.zone is not None:
        # A text that is no time at all has no moment, and nothing to say about it.
        moment, found = f"{value}.moment", f"{value}.outcome"
        return (
            f"CASE WHEN {text} IS NULL OR {moment} IS NOT NULL THEN {OF_TYPE} "
            f"WHEN {found} <> {OF_TYPE} THEN {found} ELSE {NOT_OF_TYPE} END"
        )
    if column.type != "decimal":
        return f"CASE WHEN {text} IS NOT NULL AND {value} IS NULL THEN {NOT_OF_TYPE} ELSE {OF_TYPE} END"
    fine = f"regexp_full_match({text}, {literal(_PLAIN)}) AND regexp_matches({text}, {literal(_too_fine(column))})"
    return (
        f"CASE WHEN {text} IS NULL OR {value} IS NOT NULL THEN {OF_TYPE} "
        f"WHEN {fine} THEN {TOO_FINE} ELSE {NOT_OF_TYPE} END"
    )


def can_fail(column: Column) -> bool:
    """Tell whether there is text that is no value of the column."""
    return column.type not in _TEXTS


def reader_types(dataset: Dataset) -> Mapping[int, str]:
    """Return the columns that the engine's CSV reader may type, with the type to read them as.

    What it takes for a double is what a cast takes, which lets all be seen that the contract forbids, but for ``1_000``
    and ``+-5``; as BIGINT it would round ``1.5`` and read ``0x1F``, and it takes ``epoch`` for a time.
    """
    types = {"integer": "DOUBLE", "double": "DOUBLE", "boolean": "BOOLEAN"}
    columns = enumerate(dataset.columns.values())
    return {position: types[column.type] for position, column in columns if column.type in types}


def faults(dataset: Dataset, coded: Collection[int] | None = None, limits: Limits = Limits()) -> list[Fault]:
    """Return all ways in which a row can be bad, in the order in which they are told.

    Parameters
    ----------
    dataset : Dataset
        The contract.
    coded : collection of int or None
        Columns with an `outcome`; None means all that can fail.
    limits : Limits
        Where event times must lie.
    """
    if coded is None:
        coded = {position for position, column in enumerate(dataset.columns.values()) if can_fail(column)}
    found = [
        fault
        for position, (name, column) in enumerate(dataset.columns.items())
        for fault in _column_faults(name, column, outcome(position) if position in coded else None)
    ]
    found += _time_faults(dataset, limits)
    for rule in dataset.rules:
        # TRY: a rule that fails on a row (a division, a cast) is broken by it; the other rows go on.
        broken = f"TRY(({rule.check}\n)) IS NOT TRUE"
        found.append(Fault(None, rule.name, f"the row breaks the rule {rule.name}: {_plain(rule.check)}", broken))
    return found


def _column_faults(name: str, column: Column, found: str | None) -> Iterator[Fault]:
    value, shown = identifier(name), _plain(name)
    if not column.nullable:
        absent = f"{value} IS NULL" + (f" AND {found} = {OF_TYPE}" if found else "")
        yield Fault(name, "absent", f"{shown} has no value, but must have one", absent)
    if can_fail(column):
        yield from _type_faults(name, column, found)
    for rule, bound, what, comparison in (("min", column.min, "below", "<"), ("max", column.max, "above", ">")):
        if bound is not None:
            text = bound if isinstance(bound, str) else f"{bound:.15g}"
            condition = f"{value} {comparison} {_bound(column, bound)}"
            yield Fault(name, rule, f"{shown} {{value}} is {what} {_plain(text)}", condition)
    if column.min_length is not None:
        reason = f"{shown} {{value!r}} has fewer than {column.min_length} characters"
        yield Fault(name, "min_length", reason, f"length({value}) < {column.min_length}")
    if column.max_length is not None:
        reason = f"{shown} {{value!r}} has more than {column.max_length} characters"
        yield Fault(name, "max_length", reason, f"length({value}) > {column.max_length}")
    if column.pattern is not None:
        condition = f"NOT regexp_full_match({value}, {literal(column.pattern)})"
        yield Fault(name, "pattern", f"{shown} {{value!r}} does not match {_plain(column.pattern)}", condition)
    if column.allowed is not None and not column.open:
        reason = f"{shown} {{value!r}} is not one of {_plain(', '.join(map(str, column.allowed)))}"
        yield Fault(name, "allowed", reason, f"{value} NOT IN ({choices(column)})")


def _type_faults(name: str, column: Column, found: str | None) -> Iterator[Fault]:
    value, shown = identifier(name), _plain(name)
    broken = [f"{found} = {NOT_OF_TYPE}"] if found else []
    if column.type in _MOMENTS:
        ends = [f"CAST({literal(end)} AS {sql_type(column)})" for end in (moment_sql.EARLIEST, moment_sql.LATEST)]
        broken.append(f"{value} NOT BETWEEN {ends[0]} AND {ends[1]}")
    if broken:
        yield Fault(name, "type", f"{shown} {{value!r}} {_plain(_not_of_type(column))}", " OR ".join(broken))
    if column.type == "double":
        yield Fault(name, "finite", f"{shown} {{value!r}} is not a finite number", f"NOT isfinite({value})")
    if column.type == "decimal" and found:
        reason = f"{shown} {{value!r}} has more than {column.scale} digits behind the point"
        yield Fault(name, "scale", reason, f"{found} = {TOO_FINE}")
    if column.zone is not None and found:
        reason = f"{shown} {{value!r}} does not exist in {column.zone}, as summer time began"
        yield Fault(name, "gap", reason, f"{found} = {IN_A_GAP}")
        reason = f"{shown} {{value!r}} comes twice in {column.zone}, as summer time ended; say which one by an offset"
        yield Fault(name, "ambiguous", reason, f"{found} = {TWICE}")


def _time_faults(dataset: Dataset, limits: Limits) -> Iterator[Fault]:
    name = dataset.event_time
    value, shown = identifier(name), _plain(name)
    if limits.uploaded_at is not None:
        reason = f"{shown} {{value}} is after the upload at {limits.uploaded_at:%Y-%m-%d %H:%M:%S}"
        yield Fault(name, "not_after_upload", reason, f"{value} > {moment_sql.timestamp(limits.uploaded_at)}")
    if limits.start is not None and limits.end is not None:
        first, end = moment_sql.timestamp(limits.start), moment_sql.timestamp(limits.end)
        reason = f"{shown} {{value}} is outside the file's period from {limits.start:%Y-%m-%d} to {limits.end:%Y-%m-%d}"
        yield Fault(name, "file_period", reason, f"({value} < {first} OR {value} >= {end})")


def _not_of_type(column: Column) -> str:
    if column.type == "integer":
        return "is not a whole number of at most 64 bits"
    if column.type == "double":
        return "is not a number"
    if column.type == "decimal":
        return f"is not a decimal number of at most {column.precision} digits, {column.scale} of them behind the point"
    if column.type == "boolean":
        return "is not true or false (true, false, t, f, yes, no, y, n, 1 and 0 are)"
    return f"is not {'a date' if column.type == 'date' else 'a time'} written as {moment_sql.expected(column)}"


def _bound(column: Column, bound: float | str) -> str:
    if isinstance(bound, str):
        return moment_sql.bound(column, bound)
    if bound.is_integer() and abs(bound) < WHOLE_LIMIT:
        return str(int(bound))
    # A decimal is compared with the decimal that was written, any other number with the double.
    return f"{Decimal(repr(bound)):f}" if column.type == "decimal" else f"CAST('{bound!r}' AS DOUBLE)"


def choices(column: Column) -> str:
    """Return a column's allowed values as an SQL list without brackets."""
    return ", ".join(_scalar(choice, column) for choice in column.allowed or ())


def _scalar(value: Scalar, column: Column) -> str:
    return f"CAST({literal(str(value))} AS {sql_type(column)})"


def _plain(text: str) -> str:
    """Return text so that formatting a reason leaves it as it is."""
    return text.replace("{", "{{").replace("}", "}}")
