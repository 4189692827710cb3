"""Judging a stretch of a file: the engine types its rows, finds the bad ones, and writes the good ones as Parquet.

A stretch is read in the fastest way that can be right. The engine's own reader types numbers and booleans, at no cost
beyond reading; where it fails on a text, or a whole number is none, all columns are read as text instead, which tells
each bad row by itself. Columns that were seen to hold such text are read as text from then on. Both ways give the
same rows and the same reasons.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb

from perennial.data.contract.column_sql import (
    WHOLE_LIMIT,
    Fault,
    Limits,
    can_fail,
    choices,
    faults,
    outcome,
    reader_types,
    typing,
)
from perennial.data.contract.moment_sql import OF_TYPE
from perennial.data.engine import PART_FORMAT, one
from perennial.data.reading.sources import MAX_RAW, BadRecord, Prepare, Stretch
from perennial.definitions import Dataset
from perennial.errors import DataError, DefinitionError
from perennial.sql import identifier, literal

MAX_CATEGORIES = 100
"""New categories of a column that are named."""
_SHOWN = 100
"""Characters of a value that a reason shows."""
_ROW = '"\x01row"'
_FETCHED = 2048


@dataclass(frozen=True)
class Seen:
    """What a column's values were in some rows."""

    nulls: int = 0
    texts: int = 0
    """Values that are there, of the column's type or not."""
    of_type: int = 0

    def __add__(self, other: Seen) -> Seen:
        return Seen(self.nulls + other.nulls, self.texts + other.texts, self.of_type + other.of_type)


@dataclass(frozen=True)
class Verdict:
    """What became of a stretch."""

    number: int
    part: Path | None
    """Parquet of its good rows, if there are any."""
    rejects: Path | None
    """JSON Lines of its bad rows, if there are any."""
    good: int
    careful: bool = False
    """Whether the stretch had to be read with more care (``Stretch.again``)."""
    bad_rows: Sequence[int] = ()
    """Rows of the stretch, from 0, that the engine read and that are not in the part."""
    bad: Mapping[str, int] = field(default_factory=dict)
    """All bad rows by what they break first."""
    months: Mapping[str, int] = field(default_factory=dict)
    min_event_time: datetime | None = None
    max_event_time: datetime | None = None
    seen: Mapping[str, Seen] = field(default_factory=dict)
    """By column, of those that a rule over the whole file asks about."""
    new_categories: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Judge:
    """Judges the stretches of one file; several threads may use it, each with its own connection.

    Parameters
    ----------
    dataset : Dataset
        The contract.
    name : str
        What messages call the file.
    limits : Limits
        Where event times must lie.
    """

    def __init__(self, dataset: Dataset, name: str, limits: Limits) -> None:
        self._dataset = dataset
        self._name = name
        self._limits = limits
        self._columns = list(dataset.columns.items())
        self._fallible = frozenset(place for place, (_, column) in enumerate(self._columns) if can_fail(column))
        self._reader_types = dict(reader_types(dataset))
        # These sets only change how fast the next stretch is read, so threads need not agree on them.
        self._as_text: set[int] = set()
        self._proven: set[int] = set()

    def judge(self, connection: duckdb.DuckDBPyConnection, prepare: Prepare, number: int, folder: Path) -> Verdict:
        """Judge one stretch; files that it leaves in the folder are named in the verdict."""
        prepared = prepare(connection)
        read, coded = self._load(connection, prepared)
        verdict = self._sort_out(connection, read, coded, number, folder, careful=read is not prepared)
        for path in {*prepared.files, *read.files}:
            path.unlink(missing_ok=True)
        return verdict

    def _load(self, connection: duckdb.DuckDBPyConnection, stretch: Stretch) -> tuple[Stretch, frozenset[int]]:
        """Make the table ``typed`` of a stretch's rows; return the stretch that was read and its coded columns."""
        types = {place: kind for place, kind in self._reader_types.items() if place not in self._as_text}
        if stretch.typed_select is not None and types:
            wholes = {place for place in types if self._columns[place][1].type == "integer"}
            coded = self._fallible - types.keys()
            # What the reader cannot type is text that breaks the contract, which reading it as text will tell.
            with suppress(duckdb.ConversionException, duckdb.InvalidInputException):
                if self._create(connection, typing(self._dataset, stretch.typed_select(types), coded, wholes)) == (
                    stretch.rows
                ):
                    return stretch, coded
        coded = self._fallible - stretch.native
        again = stretch.again
        try:
            rows = self._create(connection, typing(self._dataset, stretch.select, coded))
        except duckdb.InvalidInputException:
            if again is None:
                raise
            rows = -1
        if rows != stretch.rows and again is not None:
            stretch = again()
            rows = self._create(connection, typing(self._dataset, stretch.select, coded))
        if rows != stretch.rows:
            raise DataError(
                f"{self._name}: {stretch.rows} rows from line {stretch.line(0)} on were read as {rows}; "
                "check the quotes there"
            )
        self._learn(connection, coded)
        return stretch, coded

    def _create(self, connection: duckdb.DuckDBPyConnection, select: str) -> int:
        connection.execute("DROP TABLE IF EXISTS typed")
        return _count(connection, f"CREATE TABLE typed AS {select}")

    def _learn(self, connection: duckdb.DuckDBPyConnection, coded: frozenset[int]) -> None:
        """Find the columns that the reader cannot type, to read them as text from now on."""
        asked = sorted(self._reader_types.keys() & coded - self._as_text)
        if not asked:
            return
        questions = [f"coalesce(bool_or({outcome(place)} <> {OF_TYPE}), false)" for place in asked]
        for index, place in enumerate(asked):
            name, column = self._columns[place]
            if column.type == "integer":
                questions[index] += (
                    f" OR coalesce(bool_or(abs(CAST({identifier(name)} AS HUGEINT)) >= {WHOLE_LIMIT}), false)"
                )
        answers = one(connection, f"SELECT {', '.join(questions)} FROM typed")
        self._as_text.update(place for place, answer in zip(asked, answers, strict=True) if answer)

    def _sort_out(
        self,
        connection: duckdb.DuckDBPyConnection,
        stretch: Stretch,
        coded: frozenset[int],
        number: int,
        folder: Path,
        careful: bool,
    ) -> Verdict:
        ways = faults(self._dataset, coded, self._limits)
        seen = self._seen(connection, coded)
        bad_rows: list[int] = []
        rejects, counts = None, Counter[str]()
        found = self._find_bad(connection, ways)
        if found or stretch.bad:
            rejects = folder / f"rejects-{number}.jsonl"
            counts = self._write_rejects(connection, stretch, ways, rejects, bad_rows)
        if found:
            connection.execute(f"DELETE FROM typed WHERE rowid IN (SELECT {_ROW} FROM bad)")
        good = stretch.rows - len(bad_rows)
        if good == 0:
            return Verdict(number, None, rejects, 0, careful, bad_rows, counts, seen=seen)
        part = folder / f"good-{number}.parquet"
        outputs = ", ".join(identifier(name) for name, _ in self._columns)
        connection.execute(f"COPY (SELECT {outputs} FROM typed) TO {literal(str(part))} ({PART_FORMAT})")
        months, first, last = event_times(connection, "typed", self._dataset)
        new = self._new_categories(connection)
        return Verdict(number, part, rejects, good, careful, bad_rows, counts, months, first, last, seen, new)

    def _find_bad(self, connection: duckdb.DuckDBPyConnection, ways: Sequence[Fault]) -> int:
        condition = " OR ".join(f"({way.condition})" for way in ways) or "false"
        connection.execute("DROP TABLE IF EXISTS bad")
        try:
            return _count(connection, f"CREATE TABLE bad AS SELECT rowid AS {_ROW}, * FROM typed WHERE {condition}")
        except duckdb.BinderException as error:
            # Only a rule can be wrong here; `perennial check` finds it before anything is deployed.
            message = str(error).splitlines()[0]
            raise DefinitionError(f"datasets/{self._dataset.name}.toml: rules: {message}") from error

    def _write_rejects(
        self,
        connection: duckdb.DuckDBPyConnection,
        stretch: Stretch,
        ways: Sequence[Fault],
        path: Path,
        bad_rows: list[int],
    ) -> Counter[str]:
        """Write all bad records by line, note the rows of those that the engine found, and count by first fault."""
        counts = Counter[str]()
        found = heapq.merge(
            stretch.bad, self._rejected(connection, stretch, ways, bad_rows), key=lambda record: record.line
        )
        with path.open("w", encoding="utf-8") as file:
            for record in found:
                counts[first_fault(record)] += 1
                file.write(json_line(record))
        return counts

    def _rejected(
        self, connection: duckdb.DuckDBPyConnection, stretch: Stretch, ways: Sequence[Fault], bad_rows: list[int]
    ) -> Iterator[BadRecord]:
        places = {name: place for place, (name, _) in enumerate(self._columns)}
        cases = ", ".join(f"CASE WHEN {way.condition} THEN {index} END" for index, way in enumerate(ways)) or "NULL"
        found = connection.execute(
            f"SELECT {_ROW}, list_filter([{cases}], lambda way: way IS NOT NULL) FROM bad ORDER BY {_ROW}"
        )
        while rows := found.fetchmany(_FETCHED):
            for row, broken in rows:
                bad_rows.append(row)
                way = ways[broken[0]]
                value = None if way.column is None else stretch.value(row, places[way.column])
                shown = value if value is None or len(value) <= _SHOWN else value[:_SHOWN] + "…"
                yield BadRecord(
                    stretch.line(row),
                    way.column,
                    None if value is None else value[:MAX_RAW],
                    way.rule,
                    way.reason.format(value=shown),
                    stretch.raw(row),
                    [ways[index].name for index in broken],
                )

    def _seen(self, connection: duckdb.DuckDBPyConnection, coded: frozenset[int]) -> dict[str, Seen]:
        """Count what rules over the whole file ask about: absent values, and columns of which no value fits yet."""
        asked = [
            place
            for place, (_, column) in enumerate(self._columns)
            if column.max_null is not None or (place in self._fallible and place not in self._proven)
        ]
        if not asked:
            return {}
        counts = []
        for place in asked:
            value = f"count({identifier(self._columns[place][0])})"
            counts += [value, f"count(*) FILTER ({outcome(place)} <> {OF_TYPE})" if place in coded else "0"]
        total, *found = [
            count
            for count in one(connection, f"SELECT count(*), {', '.join(counts)} FROM typed")
            if isinstance(count, int)
        ]
        seen = {}
        for place, fitting, unfit in zip(asked, found[::2], found[1::2], strict=True):
            seen[self._columns[place][0]] = Seen(total - fitting - unfit, fitting + unfit, fitting)
            if fitting:
                self._proven.add(place)
        return seen

    def _new_categories(self, connection: duckdb.DuckDBPyConnection) -> dict[str, Sequence[str]]:
        found: dict[str, Sequence[str]] = {}
        for name, column in self._columns:
            if column.open and column.allowed is not None:
                value = identifier(name)
                query = (
                    f"SELECT DISTINCT {value} FROM typed WHERE {value} NOT IN ({choices(column)}) "
                    f"ORDER BY 1 LIMIT {MAX_CATEGORIES}"
                )
                found[name] = [category for (category,) in connection.execute(query).fetchall()]
        return found


def _count(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    """Return how many rows a statement wrote."""
    (count,) = one(connection, statement)
    assert isinstance(count, int), "the engine tells how many rows it wrote"
    return count


def event_times(
    connection: duckdb.DuckDBPyConnection, table: str, dataset: Dataset
) -> tuple[dict[str, int], datetime | None, datetime | None]:
    """Return a table's rows by the month of their event time, in order, and the first and last event time."""
    time = identifier(dataset.event_time)
    total, first, last = one(connection, f"SELECT count(*), min({time}), max({time}) FROM {table}")
    if not isinstance(first, datetime) or not isinstance(last, datetime) or not isinstance(total, int):
        return {}, None, None
    if (first.year, first.month) == (last.year, last.month):
        return {f"{first.year:04d}-{first.month:02d}": total}, first, last
    rows = connection.execute(
        f"SELECT date_trunc('month', {time}) AS month, count(*) FROM {table} GROUP BY month ORDER BY month"
    ).fetchall()
    return {f"{month.year:04d}-{month.month:02d}": count for month, count in rows}, first, last


def first_fault(record: BadRecord) -> str:
    """Return what a bad record breaks first, as reports count it."""
    return f"{record.column}: {record.rule}" if record.column else record.rule


def json_line(record: BadRecord) -> str:
    """Return a bad record as the line of a quarantine."""
    fields = {**vars(record), "faults": list(record.faults) or [first_fault(record)]}
    return json.dumps(fields, ensure_ascii=False) + "\n"
