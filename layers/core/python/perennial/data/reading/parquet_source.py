"""Parquet as a source of rows: columns are checked once by their type, rows are read stretch by stretch.

What the footer says of types, rows and sizes is checked before any row is read; what it says of values (statistics)
is not used. A stretch is a range of row numbers, for which the engine reads no other row groups.
"""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock

import duckdb

from perennial.data.contract.column_sql import raw
from perennial.data.engine import ROW_GROUP, Resources, connect
from perennial.data.reading.parquet_columns import Check, Conversion, conversion, expected
from perennial.data.reading.parquet_footer import (
    NUMBER,
    Shape,
    check_form,
    check_ratio,
    read_columns,
    read_shape,
    readable,
)
from perennial.data.reading.sources import MAX_RAW, BadRecord, Prepare, Stretch, listed
from perennial.definitions import Dataset
from perennial.errors import DataError
from perennial.sql import literal

_WINDOW = 512
"""Rows that are fetched at a time to say what stands in bad ones."""
_BLOCKS_OF_TEXT = 4
"""How many blocks of text a stretch may unpack to."""


@contextmanager
def open_parquet(source: Path, dataset: Dataset, folder: Path, *, name: str, block: int) -> Iterator[ParquetSource]:
    """Open a Parquet file and check its columns against the contract.

    Parameters
    ----------
    source : Path
        The file.
    dataset : Dataset
        Its contract. The file's columns may stand in any order and must bear the contract's very names.
    folder : Path
        Where the engine may read.
    name : str
        What messages call the file.
    block : int
        Unpacked bytes to take at a time, about.

    Raises
    ------
    DataError
        It is no Parquet, broken, encrypted, without rows or beyond the bounds on rows and sizes, or columns are
        missing, there twice, or of another type; the message names column, found and expected type.
    """
    check_form(source, name)
    # A fixed name in the folder: the engine would take *, ? and [ in the upload's own for a pattern.
    path = folder / "upload.parquet"
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(source)
    except OSError:  # another file system
        shutil.copyfile(source, path)
    try:
        with connect(folder, Resources(threads=1), reads=[source]) as connection:
            with readable(name):
                columns = read_columns(connection, path, name)
                shape = read_shape(connection, path, name, len(columns))
            yield ParquetSource(connection, path, dataset, name, shape, columns, block)
    finally:
        path.unlink()


class ParquetSource:
    """An opened Parquet file whose columns fit the contract."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        dataset: Dataset,
        name: str,
        shape: Shape,
        found: dict[str, tuple[str, str]],
        block: int,
    ) -> None:
        self._connection = connection
        self._lock = Lock()
        self._dataset = dataset
        self._name = name
        self._shape = shape
        self._block = block
        self._unpacked = 0
        self._step = max(1, min(2 * ROW_GROUP, block * shape.rows // max(1, shape.unpacked)))
        self._from = f"read_parquet({literal(str(path))}, {NUMBER} = true)"
        self._window: tuple[int, list[tuple[str | None, ...]]] = (0, [])
        self.added_columns = tuple(column for column in found if column not in dataset.columns)
        self.absent_columns = tuple(column for column in dataset.columns if column not in found)
        self._check_columns()
        self._found = {column: sql for column, (sql, _) in found.items()}
        self._conversions = self._convert(found)
        self._checks = [
            (position, check)
            for position, made in enumerate(self._conversions)
            for check in (made.checks if made is not None else ())
        ]

    def _check_columns(self) -> None:
        columns, toml = self._dataset.columns, f"datasets/{self._dataset.name}.toml"
        missing = [name for name in self.absent_columns if not columns[name].optional]
        if missing:
            also = f" (and has {listed(self.added_columns)}, which the contract does not know)"
            raise DataError(
                f"{self._name}: lacks {listed(missing)}{also if self.added_columns else ''}, so the file is refused as "
                f"a whole; add what is missing or change {toml}"
            )
        if self.added_columns and self._dataset.extra_columns == "refuse":
            raise DataError(
                f"{self._name}: has {listed(self.added_columns)}, which the contract does not know, so the file is "
                f"refused as a whole; take it out or add it to {toml}"
            )

    def _convert(self, found: dict[str, tuple[str, str]]) -> list[Conversion | None]:
        conversions: list[Conversion | None] = []
        wrong = []
        for name, column in self._dataset.columns.items():
            if name not in found:
                conversions.append(None)
                continue
            sql, kind = found[name]
            made = conversion(column, kind, sql)
            conversions.append(made)
            if made is None:
                wrong.append(f"{name} is {kind[:100]} where the contract says {expected(column)}")
        if wrong:
            raise DataError(
                f"{self._name}: the column {', the column '.join(wrong[:3])}, so the file is refused as a whole; "
                f"write it with that type or change datasets/{self._dataset.name}.toml"
            )
        return conversions

    def stretches(self) -> Iterator[Prepare]:
        """Cut the file into ranges of row numbers, in order.

        Raises
        ------
        DataError
            The file unpacks to far more text than its size and its footer say.
        """
        for start in range(0, self._shape.rows, self._step):
            for first, end in self._ranges(start, min(start + self._step, self._shape.rows)):
                yield partial(self._prepare, first, end)

    def _ranges(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Halve a range until its texts fit in memory: a dictionary says a long text once for any number of rows."""
        size = self._text_bytes(start, end)
        if size <= _BLOCKS_OF_TEXT * self._block or end - start == 1:
            self._unpacked += size
            check_ratio(self._unpacked, self._shape.size, self._name)
            yield start, end
            return
        check_ratio(self._unpacked + size, self._shape.size, self._name)
        middle = (start + end) // 2
        yield from self._ranges(start, middle)
        yield from self._ranges(middle, end)

    def _text_bytes(self, start: int, end: int) -> int:
        texts = [
            self._found[name]
            for name, column in self._dataset.columns.items()
            if name in self._found and column.type in ("string", "categorical")
        ]
        if not texts:
            return 0
        total = " + ".join(f"coalesce(sum(strlen(CAST({text} AS VARCHAR))), 0)" for text in texts)
        with self._lock, readable(self._name):
            row = self._connection.execute(f"SELECT {total} FROM {self._from} WHERE {_within(start, end)}").fetchone()
        return int(row[0]) if row else 0

    def _prepare(self, start: int, end: int, connection: duckdb.DuckDBPyConnection) -> Stretch:
        used = ", ".join(self._found[name] for name in self._dataset.columns if name in self._found)
        with readable(self._name):
            # A broken page shows while the rows are copied, and each page is unpacked once.
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE upload AS SELECT {NUMBER}, {used} FROM {self._from} "
                f"WHERE {_within(start, end)}"
            )
        lossy = self._lossy(connection)
        lost = [number for number, _ in lossy]
        whole = " AND ".join(f"({check.fits}) IS NOT FALSE" for _, check in self._checks) if lost else "true"
        columns = ", ".join(
            f"{'CAST(NULL AS VARCHAR)' if made is None else made.sql} AS {raw(position)}"
            for position, made in enumerate(self._conversions)
        )
        numbers = _Numbers(start, lost)
        return Stretch(
            select=f"SELECT {columns} FROM upload WHERE {whole}",
            rows=end - start - len(lost),
            line=lambda row: numbers.of(row) + 1,
            value=lambda row, column: self._texts(numbers.of(row))[column],
            raw=lambda row: self._raw(numbers.of(row)),
            native=frozenset(place for place, made in enumerate(self._conversions) if made is not None and made.native),
            bad=[self._bad(number, self._checks[place]) for number, place in lossy],
        )

    def _lossy(self, connection: duckdb.DuckDBPyConnection) -> list[tuple[int, int]]:
        """Return the row numbers of values that would not survive, each with the place of its first broken check."""
        if not self._checks:
            return []
        cases = " ".join(f"WHEN ({check.fits}) IS FALSE THEN {place}" for place, (_, check) in enumerate(self._checks))
        return connection.execute(
            f"SELECT {NUMBER}, place FROM (SELECT {NUMBER}, CASE {cases} END AS place FROM upload) "
            f"WHERE place IS NOT NULL ORDER BY {NUMBER}"
        ).fetchall()

    def _bad(self, number: int, broken: tuple[int, Check]) -> BadRecord:
        position, check = broken
        name = list(self._dataset.columns)[position]
        text = self._texts(number)[position]
        reason = f"{name} {(text or '')[:100]} {check.reason}"
        return BadRecord(number + 1, name, text, check.rule, reason, self._raw(number), (f"{name}: {check.rule}",))

    def _raw(self, number: int) -> str:
        values = dict(zip(self._dataset.columns, self._texts(number), strict=True))
        return json.dumps(values, ensure_ascii=False)[:MAX_RAW]

    def _texts(self, number: int) -> tuple[str | None, ...]:
        """Return a row's values as text, in the contract's order."""
        with self._lock:
            start, rows = self._window
            if not start <= number < start + len(rows):
                start = number - number % _WINDOW
                texts = ", ".join(
                    f"TRY(left(CAST({self._found[name]} AS VARCHAR), {MAX_RAW}))" if name in self._found else "NULL"
                    for name in self._dataset.columns
                )
                with readable(self._name):
                    rows = self._connection.execute(
                        f"SELECT {texts} FROM {self._from} WHERE {_within(start, start + _WINDOW)}"
                    ).fetchall()
                self._window = (start, rows)
            return rows[number - start]


def _within(start: int, end: int) -> str:
    return f"{NUMBER} >= {start} AND {NUMBER} < {end}"


class _Numbers:
    """Row numbers of a stretch without those that are lost."""

    def __init__(self, start: int, lost: Sequence[int]) -> None:
        self._start = start
        # How many good rows stand before each lost one: it never falls, so it can be searched.
        self._before = [number - start - place for place, number in enumerate(lost)]

    def of(self, row: int) -> int:
        """Return the file's number of the stretch's good row, both from 0."""
        return self._start + row + bisect_right(self._before, row)
