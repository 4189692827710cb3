"""Validating one upload against its dataset's contract: typed Parquet of the good rows, a reason for each bad one."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO, cast

import duckdb

from perennial.data.column_sql import Fault, faults, raw, table_columns, typed
from perennial.data.csv_records import BLOCK, MAX_RECORD, BadRecord, Block, Dialect, Readable, decode, read_blocks
from perennial.data.engine import DEFAULTS, Resources, connect, identifier, literal, one, write_table
from perennial.definitions import Dataset
from perennial.errors import DataError, DefinitionError

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_FAULT = '"\x01fault"'
"""Column of the number of a row's first fault, 0 for none; no dataset can have a column of that name."""


@dataclass(frozen=True)
class Validated:
    """What validating a file found; ``rows_in == rows_good + rows_rejected``."""

    rows_in: int
    rows_good: int
    rows_rejected: int
    min_event_time: datetime | None
    """Of the good rows; without time zone, as written in the file (UTC where the file gives an offset)."""
    max_event_time: datetime | None
    rejected_by: Mapping[str, int] = field(default_factory=dict)
    """Rejected rows by ``column: rule`` (or ``rule`` alone), most frequent first."""


def validate_csv(
    source: Path,
    dataset: Dataset,
    good: Path,
    quarantine: Path,
    *,
    name: str | None = None,
    resources: Resources = DEFAULTS,
    block: int = BLOCK,
) -> Validated:
    """Split an uploaded CSV into typed Parquet and a quarantine.

    Nothing is inferred and nothing is dropped: a row is written to ``good``, in the file's order, or to
    ``quarantine`` as one JSON line ``{"line", "column", "value", "rule", "reason", "raw"}``.

    Parameters
    ----------
    source : Path
        The CSV, plain or gzip, with a header line.
    dataset : Dataset
        Its contract. The file's columns may stand in any order.
    good : Path
        Parquet to write (zstd; columns in the contract's order; the same file always makes the same bytes).
        DuckDB works in its directory.
    quarantine : Path
        JSON Lines to write, by line number.
    name : str or None
        What messages call the file; None means its own name.
    resources : Resources
        What DuckDB may use.
    block : int
        Bytes of text handled at a time; memory is a small multiple of it, whatever the file's size.

    Raises
    ------
    DataError
        The file as a whole is unusable: empty, no rows, broken gzip, columns missing, unknown or twice.
    """
    name = name or source.name
    try:
        with _open(source, name) as stream, quarantine.open("w", encoding="utf-8") as rejects:
            validation = _Validation(dataset, name, good.parent, resources)
            return validation.run(stream, rejects, good, block)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{name}: is broken gzip ({error}); compress and upload it again") from error


@contextmanager
def _open(source: Path, name: str) -> Iterator[Readable]:
    with source.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        if start == _GZIP:
            with gzip.open(file) as stream:
                yield cast(Readable, stream)
        elif name.endswith(".gz") and start:
            raise DataError(f"{name}: is named .gz but is not gzip; compress it or name it .csv")
        else:
            yield file


class _Validation:
    """One file's way through the engine, block by block."""

    def __init__(self, dataset: Dataset, name: str, directory: Path, resources: Resources) -> None:
        self._dataset = dataset
        self._name = name
        self._directory = directory
        self._resources = resources
        self._faults = faults(dataset)
        self._dialect = Dialect(dataset.delimiter)
        self._counts: Counter[str] = Counter()
        self._rows_in = 0
        self._rows_read = 0

    def run(self, stream: Readable, rejects: TextIO, good: Path, size: int) -> Validated:
        header, start = self._header(stream, size)
        with connect(self._directory, self._resources) as connection:
            connection.execute(f"CREATE TABLE typed ({table_columns(self._dataset)}, {_FAULT} USMALLINT)")
            for block in _ahead(read_blocks(stream, self._dialect, len(header), start, size=size)):
                self._rows_in += len(block.records) + len(block.bad)
                found = self._ingest(connection, block, header) if block.records else []
                for record in sorted([*block.bad, *found], key=lambda bad: bad.line):
                    self._counts[f"{record.column}: {record.rule}" if record.column else record.rule] += 1
                    rejects.write(json.dumps(vars(record), ensure_ascii=False) + "\n")
            if self._rows_in == 0:
                raise DataError(f"{self._name}: has a header and no rows; upload a file with rows")
            rows = write_table(connection, "typed", good, where=f"{_FAULT} = 0", without=_FAULT)
            time = identifier(self._dataset.event_time)
            first, last = one(connection, f"SELECT min({time}), max({time}) FROM typed WHERE {_FAULT} = 0")
        return Validated(
            self._rows_in,
            rows,
            self._counts.total(),
            cast("datetime | None", first),
            cast("datetime | None", last),
            dict(self._counts.most_common()),
        )

    def _header(self, stream: Readable, size: int) -> tuple[list[str], bytes]:
        """Return the file's column names in their order, and the bytes behind the header that were read with it."""
        text = b""
        while b"\n" not in text and len(text) < MAX_RECORD and (more := stream.read(size)):
            text += more
        text = text.removeprefix(_BOM)
        if not text:
            raise DataError(f"{self._name}: is empty; upload a file with a header line and rows")
        first = text.splitlines(keepends=True)[0]
        try:
            line = first.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(f"{self._name}: the header is not UTF-8 text; save the file as UTF-8") from None
        names = next(csv.reader([line], delimiter=self._dataset.delimiter), [])
        self._check_header(names)
        return names, text[len(first) :]

    def _check_header(self, names: list[str]) -> None:
        known = self._dataset.columns
        unknown = [name for name in names if name not in known]
        missing = [name for name in known if name not in names]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"{self._name}: the header names {_list(twice)} more than once; each column stands once")
        hint = "; is the delimiter right?" if len(names) == 1 and len(known) > 1 else ""
        if missing:
            also = f" (and has {_list(unknown)}, which the contract does not know)" if unknown else ""
            raise DataError(
                f"{self._name}: lacks {_list(missing)}{also}, so the file is refused as a whole; "
                f"add what is missing or change datasets/{self._dataset.name}.toml{hint}"
            )
        if unknown:
            raise DataError(
                f"{self._name}: has {_list(unknown)}, which the contract does not know, so the file is refused as a "
                f"whole; take it out or add it to datasets/{self._dataset.name}.toml"
            )

    def _ingest(self, connection: duckdb.DuckDBPyConnection, block: Block, header: list[str]) -> list[BadRecord]:
        """Type a block's records, append the good ones to the table, return the bad ones."""
        path = self._directory / "block.csv"
        records = block.records if len(header) > 1 else [record or b'""' for record in block.records]
        with path.open("wb") as file:
            file.write(b"\n".join(records))
            file.write(b"\n")
        try:
            connection.execute(f"INSERT INTO typed {self._typing(path, header, block.multiline)}")
        except duckdb.BinderException as error:
            # Only a rule can be wrong here; `perennial check` finds it before anything is deployed.
            message = str(error).splitlines()[0]
            raise DefinitionError(f"datasets/{self._dataset.name}.toml: rules: {message}") from error
        (end,) = one(connection, "SELECT count(*) FROM typed")
        start, self._rows_read = self._rows_read, cast(int, end)
        if self._rows_read - start != len(block.records):
            raise DataError(
                f"{self._name}: {len(block.records)} rows from line {block.lines[0]} on were read as "
                f"{self._rows_read - start}; check the quotes there"
            )
        # Rows keep the order of the file, so their ids count them.
        rejected = connection.execute(
            f"SELECT rowid - {start}, {_FAULT} FROM typed WHERE rowid >= {start} AND {_FAULT} > 0 ORDER BY rowid"
        ).fetchall()
        return [self._bad(block, header, row, self._faults[fault - 1]) for row, fault in rejected]

    def _typing(self, path: Path, header: list[str], multiline: bool) -> str:
        """Return the SELECT that reads a block's file as typed columns and the number of each row's first fault."""
        columns = list(self._dataset.columns.items())
        names = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in _raw_names(header, list(self._dataset.columns)))
        nulls = ", ".join(literal(text) for text in self._dataset.null) or literal("\x01")
        # A record with line ends inside may straddle the parts that parallel readers take.
        reader = (
            f"read_csv({literal(str(path))}, columns = {{{names}}}, auto_detect = false, header = false, "
            f"delim = {literal(self._dataset.delimiter)}, quote = '\"', escape = '\"', new_line = '\\n', "
            f"nullstr = [{nulls}], allow_quoted_nulls = true, max_line_size = {2 * MAX_RECORD}, "
            f"buffer_size = {8 * MAX_RECORD}, parallel = {str(not multiline).lower()})"
        )
        values = ", ".join(
            f"{typed(column, raw(position))} AS {identifier(name)}" for position, (name, column) in enumerate(columns)
        )
        cases = " ".join(f"WHEN {fault.condition} THEN {number}" for number, fault in enumerate(self._faults, start=1))
        outputs = ", ".join(identifier(name) for name, _ in columns)
        code = f"CASE {cases} ELSE 0 END" if cases else "0"
        return f"SELECT {outputs}, CAST({code} AS USMALLINT) FROM (SELECT *, {values} FROM {reader})"

    def _bad(self, block: Block, header: list[str], row: int, fault: Fault) -> BadRecord:
        record = block.records[row]
        value = None
        if fault.column is not None:
            value = self._dialect.fields(record)[header.index(fault.column)]
        reason = fault.reason.format(value=value)
        return BadRecord(block.lines[row], fault.column, value, fault.rule, reason, decode(record))


def _ahead(blocks: Iterator[Block]) -> Iterator[Block]:
    """Cut the next block while the engine, which does not hold Python's lock, works on this one."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        upcoming = pool.submit(next, blocks, None)
        while (block := upcoming.result()) is not None:
            upcoming = pool.submit(next, blocks, None)
            yield block


def _raw_names(header: list[str], columns: list[str]) -> list[str]:
    """Return the engine's names of a file's columns, in the file's order."""
    return [f"\x01{columns.index(name)}" for name in header]


def _list(names: list[str]) -> str:
    what = "the column" if len(names) == 1 else "the columns"
    shown = ", ".join(names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{what} {shown}{more}"
