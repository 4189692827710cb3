"""Keys that stand twice in one file: the first row stays, the later ones go to quarantine."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import duckdb
import numpy as np
from numpy.typing import NDArray

from perennial.data.contract.verdict import Verdict, event_times, json_line
from perennial.data.engine import PART_FORMAT, Resources, connect
from perennial.data.reading.sources import BadRecord, Source, Stretch
from perennial.definitions import Dataset
from perennial.sql import identifier, literal

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_SPAN = 1 << 32
"""More rows than a part can have: a row's place is its part's place times this, plus its own in the part."""
_PLACE = '"\x01place"'
_FETCHED = 2048


def without_repeated_keys(
    verdicts: Sequence[Verdict],
    source: Source,
    dataset: Dataset,
    folder: Path,
    quarantine: Path,
    resources: Resources,
) -> tuple[list[Verdict], int]:
    """Take rows whose key stood in an earlier row out of the parts, and add them to the quarantine.

    The engine finds them in one pass over the key columns, and spills what does not fit its memory. The file is
    read once more only if there are such rows, and only parts that hold them are written anew.

    Parameters
    ----------
    verdicts : sequence of Verdict
        Of the parts, in the file's order.
    source : Source
        The file, opened again.
    dataset : Dataset
        Its contract, which names the key.
    folder : Path
        Where the engine works.
    quarantine : Path
        JSON Lines of the bad rows so far, by line.
    resources : Resources
        What DuckDB may use.

    Returns
    -------
    tuple
        The verdicts of the parts that still hold rows, and how many rows were taken out.
    """
    paths = [verdict.part for verdict in verdicts if verdict.part is not None]
    with connect(folder, replace(resources, threads=1), reads=paths) as connection:
        count = _find(connection, dataset, paths)
        if count == 0:
            return list(verdicts), 0
        repeats = _Repeats(connection, dataset, verdicts)
        added = folder / "repeated.jsonl"
        with added.open("w", encoding="utf-8") as file:
            repeats.write(source, file)
        _merge(quarantine, added)
        kept = [_rewritten(connection, dataset, place, verdict) for place, verdict in enumerate(verdicts)]
        return [verdict for verdict in kept if verdict is not None], count


def _find(connection: duckdb.DuckDBPyConnection, dataset: Dataset, paths: Sequence[Path]) -> int:
    """Make the tables ``first`` (place of each repeated key) and ``later`` (place of a row, and of its first)."""
    keys = ", ".join(map(identifier, dataset.key))
    files = ", ".join(literal(str(path)) for path in paths)
    connection.execute(
        f"CREATE VIEW keyed AS SELECT {keys}, file_index * {_SPAN} + file_row_number AS {_PLACE} "
        f"FROM read_parquet([{files}], file_row_number = true)"
    )
    connection.execute(
        f"CREATE TABLE first AS SELECT {keys}, min({_PLACE}) AS first FROM keyed GROUP BY ALL HAVING count(*) > 1"
    )
    connection.execute(
        f"CREATE TABLE later AS SELECT {_PLACE} AS place, first FROM keyed JOIN first USING ({keys}) "
        f"WHERE {_PLACE} > first ORDER BY place"
    )
    row = connection.execute("SELECT count(*) FROM later").fetchone()
    return int(row[0]) if row else 0


class _Repeats:
    """The later rows, with the lines of the first ones."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dataset: Dataset, verdicts: Sequence[Verdict]) -> None:
        self._connection = connection
        self._dataset = dataset
        self._verdicts = verdicts
        firsts = connection.execute("SELECT first FROM first ORDER BY first").fetchnumpy()["first"]
        self._firsts: NDArray[np.int64] = np.asarray(firsts, np.int64)
        self._lines = np.zeros(len(self._firsts), np.int64)

    def write(self, source: Source, file: TextIO) -> None:
        """Write a line for each later row, in the file's order."""
        places = {verdict.number: place for place, verdict in enumerate(self._verdicts)}
        for number, prepare in enumerate(source.stretches()):
            place = places.get(number)
            if place is None or not self._touches(place):
                continue
            stretch = prepare(self._connection)
            files = list(stretch.files)
            if self._verdicts[place].careful and stretch.again is not None:
                stretch = stretch.again()
                files += stretch.files
            for record in self._records(place, stretch):
                file.write(json_line(record))
            for path in files:
                path.unlink(missing_ok=True)

    def _touches(self, place: int) -> bool:
        begin, end = np.searchsorted(self._firsts, [place * _SPAN, (place + 1) * _SPAN])
        query = "SELECT count(*) FROM later WHERE place >= ? AND place < ?"
        row = self._connection.execute(query, [place * _SPAN, (place + 1) * _SPAN]).fetchone()
        return bool(end > begin) or row != (0,)

    def _records(self, place: int, stretch: Stretch) -> Iterator[BadRecord]:
        start = place * _SPAN
        rows = _StretchRows(self._verdicts[place].bad_rows)
        begin, end = np.searchsorted(self._firsts, [start, start + _SPAN])
        for index in range(begin, end):
            self._lines[index] = stretch.line(rows.of(int(self._firsts[index]) - start))
        # A result of the connection ends with its next statement, and writing a record may make one.
        cursor = self._connection.cursor()
        found = cursor.execute(
            "SELECT place, first FROM later WHERE place >= ? AND place < ? ORDER BY place", [start, start + _SPAN]
        )
        while batch := found.fetchmany(_FETCHED):
            for at, first in batch:
                row = rows.of(at - start)
                yield self._record(stretch, row, int(self._lines[np.searchsorted(self._firsts, first)]))

    def _record(self, stretch: Stretch, row: int, line: int) -> BadRecord:
        keys, columns = self._dataset.key, list(self._dataset.columns)
        values = [stretch.value(row, columns.index(key)) for key in keys]
        alone = len(keys) == 1
        shown = ", ".join(f"{key} {value!r}" for key, value in zip(keys, values, strict=True))
        return BadRecord(
            stretch.line(row),
            keys[0] if alone else None,
            values[0] if alone else None,
            "unique",
            f"{shown} stands on line {line} already, and the first row stays",
            stretch.raw(row),
        )


@dataclass
class _StretchRows:
    """Rows of a part by their places in the stretch that it was made from."""

    bad_rows: Sequence[int]

    def __post_init__(self) -> None:
        # How many good rows stand before each bad one: it never falls, so it can be searched.
        bad = np.asarray(self.bad_rows, np.int64)
        self._before = bad - np.arange(len(bad))

    def of(self, row: int) -> int:
        return row + int(np.searchsorted(self._before, row, side="right"))


def _merge(quarantine: Path, added: Path) -> None:
    """Merge two files of bad rows, each by line, into the first."""
    merged = added.with_name("merged.jsonl")
    with quarantine.open("rb") as one, added.open("rb") as other, merged.open("wb") as file:
        file.writelines(heapq.merge(one, other, key=_line))
    added.unlink()
    # The quarantine may be on another device than the folder.
    with merged.open("rb") as file, quarantine.open("wb") as target:
        while chunk := file.read(1 << 20):
            target.write(chunk)
    merged.unlink()


def _line(text: Buffer) -> int:
    return int(json.loads(bytes(text))["line"])


def _rewritten(connection: duckdb.DuckDBPyConnection, dataset: Dataset, place: int, verdict: Verdict) -> Verdict | None:
    """Write a part without its later rows; return None if nothing is left of it."""
    assert verdict.part is not None, "only parts are looked at"
    within = f"place >= {place * _SPAN} AND place < {(place + 1) * _SPAN}"
    row = connection.execute(f"SELECT count(*) FROM later WHERE {within}").fetchone()
    count = int(row[0]) if row else 0
    if count == 0:
        return verdict
    if count == verdict.good:
        verdict.part.unlink()
        return None
    columns = ", ".join(map(identifier, dataset.columns))
    connection.execute(
        f"CREATE OR REPLACE TABLE kept AS SELECT {columns} FROM read_parquet({literal(str(verdict.part))}, "
        f"file_row_number = true) WHERE file_row_number NOT IN (SELECT place - {place * _SPAN} FROM later "
        f"WHERE {within}) ORDER BY file_row_number"
    )
    rewritten = verdict.part.with_suffix(".rewritten")
    connection.execute(f"COPY kept TO {literal(str(rewritten))} ({PART_FORMAT})")
    rewritten.replace(verdict.part)
    months, first, last = event_times(connection, "kept", dataset)
    return replace(
        verdict, good=verdict.good - count, months=months, min_event_time=first, max_event_time=last, bad_rows=()
    )
