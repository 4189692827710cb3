"""The SQL of a dataset's contract: how a column's text becomes a value, and what makes a row bad."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perennial.data.engine import identifier, literal
from perennial.definitions import Column, Dataset, Scalar

SQL_TYPES = {
    "integer": "BIGINT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
}
"""The engine's type of each type of column."""

_NOT_OF_TYPE = {
    "integer": "is not a whole number of at most 64 bits",
    "double": "is not a number",
    "string": "is not text",
    "boolean": "is not true or false (true, false, t, f, 1 and 0 are)",
}
_ISO_DAY = r"\d{4}-\d{2}-\d{2}"
_ISO_TIME = _ISO_DAY + r"([T ]\d{2}:\d{2}(:\d{2}([.]\d{1,6})?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?)?"


@dataclass(frozen=True)
class Fault:
    """One way in which a row can break its contract."""

    column: str | None
    rule: str
    reason: str
    """A sentence; ``{value}`` stands for the text of the column."""
    condition: str
    """SQL over raw and typed columns that is true for a bad row."""


def raw(position: int) -> str:
    """Return the SQL name of a column's raw text; no dataset can have a column of that name."""
    return identifier(f"\x01{position}")


def table_columns(dataset: Dataset) -> str:
    """Return the column list of a table of the dataset's rows."""
    return ", ".join(f"{identifier(name)} {SQL_TYPES[column.type]}" for name, column in dataset.columns.items())


def typed(column: Column, text: str) -> str:
    """Return the SQL that turns text into a value of the column, or into null where it is no such value."""
    if column.type == "integer":
        # A cast rounds 1.5 and takes 1e3, 0x1F and 1_000 for numbers: what does not print the same is looked at.
        cast = f"TRY_CAST({text} AS BIGINT)"
        whole = literal(r"\s*[+-]?\d+([.]0*)?\s*")
        return f"CASE WHEN CAST({cast} AS VARCHAR) = {text} OR regexp_full_match({text}, {whole}) THEN {cast} END"
    if column.type == "double":
        return f"CASE WHEN NOT contains({text}, '_') THEN TRY_CAST({text} AS DOUBLE) END"
    if column.type == "boolean":
        return (
            f"CASE WHEN lower({text}) IN ('true', 't', '1') THEN true "
            f"WHEN lower({text}) IN ('false', 'f', '0') THEN false END"
        )
    if column.type == "string":
        return text
    return _moment(column, text)


def _moment(column: Column, text: str) -> str:
    if column.format is not None:
        # A format with %z gives a moment with its zone, which becomes UTC; one without gives it as written.
        moment = f"CAST(try_strptime({text}, {literal(column.format)}) AS TIMESTAMP)"
        return moment if column.type == "timestamp" else f"CAST({moment} AS DATE)"
    # Bare casts take "epoch" and "infinity" for times and drop an offset, so the form is checked first.
    pattern, cast = (
        (_ISO_TIME, f"CAST(TRY_CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP)")
        if column.type == "timestamp"
        else (_ISO_DAY, f"TRY_CAST({text} AS DATE)")
    )
    return f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) THEN {cast} END"


def faults(dataset: Dataset) -> list[Fault]:
    """Return all ways in which a row can be bad, in the order in which they are looked for."""
    found = [
        fault
        for position, (name, column) in enumerate(dataset.columns.items())
        for fault in _column_faults(name, column, raw(position))
    ]
    for rule in dataset.rules:
        # TRY: a rule that fails on a row (a division, a cast) is broken by it; the other rows go on.
        broken = f"TRY(({rule.check}\n)) IS NOT TRUE"
        reason = f"the row breaks the rule {rule.name}: {rule.check}".replace("{", "{{").replace("}", "}}")
        found.append(Fault(None, rule.name, reason, broken))
    return found


def _column_faults(name: str, column: Column, text: str) -> Iterator[Fault]:
    value = identifier(name)
    shown = name.replace("{", "{{").replace("}", "}}")
    if not column.nullable:
        yield Fault(name, "absent", f"{shown} has no value, but must have one", f"{text} IS NULL")
    if column.type != "string":
        yield Fault(
            name, "type", f"{shown} {{value!r}} {_not_of_type(column)}", f"{text} IS NOT NULL AND {value} IS NULL"
        )
    if column.type == "double":
        yield Fault(name, "finite", f"{shown} {{value!r}} is not a finite number", f"NOT isfinite({value})")
    if column.min is not None:
        yield Fault(name, "min", f"{shown} {{value}} is below {column.min:.15g}", f"{value} < {_number(column.min)}")
    if column.max is not None:
        yield Fault(name, "max", f"{shown} {{value}} is above {column.max:.15g}", f"{value} > {_number(column.max)}")
    if column.allowed is not None:
        choices = ", ".join(map(str, column.allowed)).replace("{", "{{").replace("}", "}}")
        among = f"{value} NOT IN ({', '.join(_scalar(choice, column) for choice in column.allowed)})"
        yield Fault(
            name, "allowed", f"{shown} {{value!r}} is not one of {choices}", among if column.allowed else "true"
        )


def _not_of_type(column: Column) -> str:
    if column.type in _NOT_OF_TYPE:
        return _NOT_OF_TYPE[column.type]
    form = column.format or ("ISO 8601, such as 2019-01-31 08:00:00" if column.type == "timestamp" else "YYYY-MM-DD")
    what = "a time" if column.type == "timestamp" else "a date"
    return f"is not {what} written as {form}".replace("{", "{{").replace("}", "}}")


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else f"CAST('{value!r}' AS DOUBLE)"


def _scalar(value: Scalar, column: Column) -> str:
    return f"CAST({literal(str(value))} AS {SQL_TYPES[column.type]})"
