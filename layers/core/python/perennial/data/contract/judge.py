"""Judging a stretch of a file: in one pass, the engine types its rows, writes the good ones and tells of the bad ones.

A stretch is read in the fastest way that can be right. The engine's own reader types numbers and booleans, at no cost
beyond reading; where it fails on a text, or a whole number is none, all columns are read as text instead, which tells
each bad row by itself. Columns that were seen to hold such text are read as text from then on. Both ways give the
same rows and the same reasons.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
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
from perennial.data.contract.noted_rows import ABSENT, FITTING, NOTE, UNFIT, NotedRows
from perennial.data.contract.verdict import Seen, Verdict, event_times, first_fault, json_line
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


@dataclass(frozen=True)
class _Passed:
    """What one pass over a stretch gave, beside the bad rows that it noted."""

    stretch: Stretch
    part: Path
    good: int
    ways: Sequence[Fault]
    asked: Sequence[int]
    """Columns whose absent and fitting values are counted."""

    @property
    def rows(self) -> str:
        """SQL of the good rows."""
        return f"read_parquet({literal(str(self.part))})"


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

    def judge(
        self, connection: duckdb.DuckDBPyConnection, noted: NotedRows, prepare: Prepare, number: int, folder: Path
    ) -> Verdict:
        """Judge one stretch; files that it leaves in the folder are named in the verdict.

        ``noted`` is where the connection notes rows (`note_rows`).
        """
        prepared = prepare(connection)
        passed = self._pass(connection, prepared, folder / f"good-{number}.parquet", noted)
        verdict = self._verdict(connection, passed, noted, number, folder, careful=passed.stretch is not prepared)
        for path in {*prepared.files, *passed.stretch.files}:
            path.unlink(missing_ok=True)
        return verdict

    def _pass(self, connection: duckdb.DuckDBPyConnection, stretch: Stretch, part: Path, noted: NotedRows) -> _Passed:
        """Write a stretch's good rows into the part and note the bad ones, in the fastest way that is right."""
        asked = tuple(
            place
            for place, (_, column) in enumerate(self._columns)
            if column.max_null is not None or (place in self._fallible and place not in self._proven)
        )

        def write(one: Stretch, select: str, coded: frozenset[int], wholes: Collection[int] = ()) -> _Passed:
            ways = faults(self._dataset, coded, self._limits)
            good = self._write(connection, typing(self._dataset, select, coded, wholes), ways, part, noted, asked)
            return _Passed(one, part, good, ways, asked)

        types = {place: kind for place, kind in self._reader_types.items() if place not in self._as_text}
        if stretch.typed_select is not None and types:
            wholes = {place for place in types if self._columns[place][1].type == "integer"}
            # What the reader cannot type is text that breaks the contract, which reading it as text will tell.
            with suppress(duckdb.ConversionException, duckdb.InvalidInputException):
                passed = write(stretch, stretch.typed_select(types), self._fallible - types.keys(), wholes)
                if passed.good + len(noted.rows) == stretch.rows:
                    return passed
        coded = self._fallible - stretch.native
        again = stretch.again
        try:
            passed = write(stretch, stretch.select, coded)
            rows = passed.good + len(noted.rows)
        except duckdb.InvalidInputException:
            if again is None:
                raise
            rows = -1
        if rows != stretch.rows and again is not None:
            stretch = again()
            passed = write(stretch, stretch.select, coded)
            rows = passed.good + len(noted.rows)
        if rows != stretch.rows:
            raise DataError(
                f"{self._name}: {stretch.rows} rows from line {stretch.line(0)} on were read as {rows}; "
                "check the quotes there"
            )
        self._learn(connection, passed, noted, coded)
        return passed

    def _write(
        self,
        connection: duckdb.DuckDBPyConnection,
        typed: str,
        ways: Sequence[Fault],
        part: Path,
        noted: NotedRows,
        asked: Sequence[int],
    ) -> int:
        """Write good rows and note bad ones, in one pass; return how many are good."""
        noted.clear()
        outputs = ", ".join(identifier(name) for name, _ in self._columns)
        condition = " OR ".join(f"({way.condition})" for way in ways) or "false"
        broken = ", ".join(f"CASE WHEN {way.condition} THEN {index} END" for index, way in enumerate(ways))
        states = ", ".join(
            f"CASE WHEN {outcome(place)} <> {OF_TYPE} THEN {UNFIT} WHEN {name} IS NULL THEN {ABSENT} ELSE {FITTING} END"
            if any(outcome(place) in way.condition for way in ways)
            else f"CASE WHEN {name} IS NULL THEN {ABSENT} ELSE {FITTING} END"
            for place, name in ((place, identifier(self._columns[place][0])) for place in asked)
        )
        found = f"concat(array_to_string([{broken}], ','), '|', array_to_string([{states}], ','))" if ways else "'|'"
        try:
            return _count(
                connection,
                f"COPY (SELECT {outputs} FROM (SELECT *, row_number() OVER () AS {_ROW} FROM ({typed})) "
                f"WHERE CASE WHEN {condition} THEN {NOTE}({_ROW}, {found}) ELSE true END) "
                f"TO {literal(str(part))} ({PART_FORMAT})",
            )
        except duckdb.BinderException as error:
            # Only a rule can be wrong here; `perennial check` finds it before anything is deployed.
            message = str(error).splitlines()[0]
            raise DefinitionError(f"datasets/{self._dataset.name}.toml: rules: {message}") from error

    def _learn(
        self, connection: duckdb.DuckDBPyConnection, passed: _Passed, noted: NotedRows, coded: frozenset[int]
    ) -> None:
        """Find the columns that the reader cannot type, to read them as text from now on."""
        asked = self._reader_types.keys() & coded - self._as_text
        names = {name: place for place, (name, _) in enumerate(self._columns)}
        for index in noted.ways():
            way = passed.ways[index]
            if way.rule == "type" and way.column is not None and names[way.column] in asked:
                self._as_text.add(names[way.column])
        wholes = sorted(place for place in asked if self._columns[place][1].type == "integer")
        if wholes and passed.good:
            large = (
                f"abs(CAST({identifier(self._columns[place][0])} AS HUGEINT)) >= {WHOLE_LIMIT}" for place in wholes
            )
            answers = one(connection, f"SELECT {', '.join(f'bool_or({each})' for each in large)} FROM {passed.rows}")
            self._as_text.update(place for place, answer in zip(wholes, answers, strict=True) if answer)

    def _verdict(
        self,
        connection: duckdb.DuckDBPyConnection,
        passed: _Passed,
        noted: NotedRows,
        number: int,
        folder: Path,
        careful: bool,
    ) -> Verdict:
        rejects, counts = None, Counter[str]()
        if noted.rows or passed.stretch.bad:
            rejects = folder / f"rejects-{number}.jsonl"
            counts = self._write_rejects(passed, noted, rejects)
        seen = self._seen(connection, passed, noted)
        if passed.good == 0:
            passed.part.unlink()
            return Verdict(number, None, rejects, 0, careful, noted.rows, counts, seen=seen)
        months, first, last = event_times(connection, passed.rows, self._dataset)
        new = self._new_categories(connection, passed.rows)
        good = passed.good
        return Verdict(number, passed.part, rejects, good, careful, noted.rows, counts, months, first, last, seen, new)

    def _write_rejects(self, passed: _Passed, noted: NotedRows, path: Path) -> Counter[str]:
        """Write all bad records by line, and count them by what they break first."""
        counts = Counter[str]()
        found = heapq.merge(passed.stretch.bad, self._rejected(passed, noted), key=lambda record: record.line)
        with path.open("w", encoding="utf-8") as file:
            for record in found:
                counts[first_fault(record)] += 1
                file.write(json_line(record))
        return counts

    def _rejected(self, passed: _Passed, noted: NotedRows) -> Iterator[BadRecord]:
        places = {name: place for place, (name, _) in enumerate(self._columns)}
        stretch, ways = passed.stretch, passed.ways
        for row, broken in noted:
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

    def _seen(self, connection: duckdb.DuckDBPyConnection, passed: _Passed, noted: NotedRows) -> dict[str, Seen]:
        """Count what rules over the whole file ask about: absent values, and columns of which no value fits yet."""
        if not passed.asked:
            return {}
        names = [self._columns[place][0] for place in passed.asked]
        there = [0] * len(names)
        if passed.good:
            counts = one(
                connection, f"SELECT {', '.join(f'count({identifier(name)})' for name in names)} FROM {passed.rows}"
            )
            there = [count for count in counts if isinstance(count, int)]
        seen = {}
        for index, (place, name, good) in enumerate(zip(passed.asked, names, there, strict=True)):
            bad = noted.states(index)
            fitting = good + bad[FITTING]
            seen[name] = Seen(passed.good - good + bad[ABSENT], fitting + bad[UNFIT], fitting)
            if fitting:
                self._proven.add(place)
        return seen

    def _new_categories(self, connection: duckdb.DuckDBPyConnection, rows: str) -> dict[str, Sequence[str]]:
        found: dict[str, Sequence[str]] = {}
        for name, column in self._columns:
            if column.open and column.allowed is not None:
                value = identifier(name)
                query = (
                    f"SELECT DISTINCT {value} FROM {rows} WHERE {value} NOT IN ({choices(column)}) "
                    f"ORDER BY 1 LIMIT {MAX_CATEGORIES}"
                )
                found[name] = [category for (category,) in connection.execute(query).fetchall()]
        return found


def _count(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    """Return how many rows a statement wrote."""
    (count,) = one(connection, statement)
    assert isinstance(count, int), "the engine tells how many rows it wrote"
    return count
