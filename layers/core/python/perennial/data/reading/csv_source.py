"""CSV as a source of rows: its header, and stretches of records that the engine can read."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

import duckdb

from perennial.data.contract.column_sql import raw
from perennial.data.reading.csv_blocks import Positions, SoundBlock, sound_block
from perennial.data.reading.csv_records import Block, Dialect, cut, decode
from perennial.data.reading.open_text import open_text
from perennial.data.reading.sources import BLOCK, MAX_RAW, MAX_RECORD, Prepare, Readable, Stretch, listed
from perennial.definitions import Dataset
from perennial.errors import DataError
from perennial.sql import identifier, literal

_HEADER = 1 << 16
"""Bytes to take at a time until the header's end is there."""


@contextmanager
def open_csv(source: Path, dataset: Dataset, folder: Path, *, name: str, block: int = BLOCK) -> Iterator[CsvSource]:
    """Open a CSV with a header line.

    Parameters
    ----------
    source : Path
        The file, plain or packed.
    dataset : Dataset
        Its contract. The file's columns may stand in any order.
    folder : Path
        For the files that the engine reads.
    name : str
        What messages call the file.
    block : int
        Bytes of text to take at a time.

    Raises
    ------
    DataError
        The file is unusable as a whole: empty, broken gzip or zstd, another encoding, columns missing or twice.
    """
    with open_text(source, dataset, name) as stream:
        yield CsvSource(stream, dataset, folder, name, block)


class CsvSource:
    """An opened CSV (`open_csv`)."""

    def __init__(self, stream: Readable, dataset: Dataset, folder: Path, name: str, block: int) -> None:
        self._stream = stream
        self._dataset = dataset
        self._folder = folder
        self._name = name
        self._block = block
        self._dialect = Dialect(dataset.delimiter)
        self._header, self._start = self._read_header()
        self._check_header()

    @property
    def added_columns(self) -> tuple[str, ...]:
        """Columns of the file that the contract does not know."""
        return tuple(name for name in self._header if name not in self._dataset.columns)

    @property
    def absent_columns(self) -> tuple[str, ...]:
        """Optional columns of the contract that the file lacks."""
        return tuple(name for name in self._dataset.columns if name not in self._header)

    def stretches(self) -> Iterator[Prepare]:
        """Cut the file into blocks of whole records."""
        text, line, number, width = self._start, 2, 0, len(self._header)
        while True:
            chunk = self._read()
            text += chunk
            final = len(chunk) < self._block
            if not text:
                return
            found = sound_block(text, self._dialect.delimiter, width, final)
            if found is not None:
                block, used = found
                yield partial(self._prepare_sound, block, line, number)
                line += block.lines
            else:
                end = self._whole_lines(text, line, final)
                cut_out, used, line = cut(text[:end], self._dialect, width, line, final)
                if cut_out.records or cut_out.bad:
                    yield partial(self._prepare_cut, cut_out, number)
            text = text[used:]
            number += 1
            if final:
                return

    def _read(self) -> bytes:
        """Return the next block's bytes: fewer only at the end, as packed streams give what they have."""
        chunk = more = self._stream.read(self._block)
        while more and len(chunk) < self._block:
            more = self._stream.read(self._block - len(chunk))
            chunk += more
        return chunk

    def _whole_lines(self, text: bytes, line: int, final: bool) -> int:
        """Return where the last line ends. A CR at the very end may be half of a CRLF: it waits for what follows."""
        end = len(text) if final else max(text.rfind(b"\n"), text.rfind(b"\r", 0, -1)) + 1
        if end == 0 and len(text) > BLOCK:
            raise DataError(f"{self._name}: line {line}: there is no line end in {BLOCK >> 20} MiB; is this file CSV?")
        return end

    def _prepare_sound(
        self, block: SoundBlock, line: int, number: int, connection: duckdb.DuckDBPyConnection
    ) -> Stretch:
        path = self._folder / f"block-{number}.csv"
        path.write_bytes(block.records)
        rows = _SoundRows(block, line)

        def again() -> Stretch:
            cut_out, _, _ = cut(bytes(block.records), self._dialect, len(self._header), line, final=True)
            return self._prepare_cut(cut_out, number, connection)

        return Stretch(
            self._select(path, {}),
            block.rows,
            rows.line,
            lambda row, column: self._value(rows.record(row), column),
            lambda row: decode(rows.record(row)),
            typed_select=None if block.has_odd_numbers() else partial(self._select, path),
            again=again,
            files=[path],
        )

    def _prepare_cut(self, block: Block, number: int, connection: duckdb.DuckDBPyConnection) -> Stretch:
        path = self._folder / f"records-{number}.csv"
        records = block.records if len(self._header) > 1 else [record or b'""' for record in block.records]
        with path.open("wb") as file:
            file.write(b"\n".join(records))
            file.write(b"\n")
        return Stretch(
            self._select(path, {}) if records else f"{self._select(path, {})} WHERE false",
            len(records),
            block.lines.__getitem__,
            lambda row, column: self._value(block.records[row], column),
            lambda row: decode(block.records[row]),
            typed_select=None,
            bad=block.bad,
            files=[path],
        )

    def _value(self, record: bytes, column: int) -> str | None:
        name = list(self._dataset.columns)[column]
        if name not in self._header:
            return None
        return self._dialect.fields(record)[self._header.index(name)][:MAX_RAW]

    def _select(self, path: Path, types: Mapping[int, str]) -> str:
        """Return the SELECT of a file of well-formed records, with given columns of the contract as given types."""
        known = {name: position for position, name in enumerate(self._dataset.columns)}
        names = {
            (raw(known[name]) if name in known else identifier(f"\x01added{place}")): types.get(
                known.get(name, -1), "VARCHAR"
            )
            for place, name in enumerate(self._header)
        }
        columns = ", ".join(f"{literal(name[1:-1])}: {literal(kind)}" for name, kind in names.items())
        nulls = ", ".join(map(literal, self._dataset.null)) or literal("\x01")
        outputs = ", ".join(
            raw(position) if raw(position) in names else f"CAST(NULL AS VARCHAR) AS {raw(position)}"
            for position in known.values()
        )
        # One reader per block, as many blocks are read at a time; and a record with line ends inside may straddle
        # the parts that parallel readers take.
        return (
            f"SELECT {outputs} FROM read_csv({literal(str(path))}, columns = {{{columns}}}, auto_detect = false, "
            f"header = false, delim = {literal(self._dataset.delimiter)}, quote = '\"', escape = '\"', "
            f"new_line = '\\n', nullstr = [{nulls}], allow_quoted_nulls = true, parallel = false, "
            f"max_line_size = {2 * MAX_RECORD}, buffer_size = {8 * MAX_RECORD})"
        )

    def _read_header(self) -> tuple[list[str], bytes]:
        """Return the file's column names in their order, and the bytes behind the header that were read with it."""
        text = b""
        while not (b"\n" in text or b"\r" in text[:-1]) and len(text) < MAX_RECORD:
            # A little at a time, as what stands behind the header makes the first block larger.
            more = self._stream.read(min(self._block, _HEADER))
            if not more:
                break
            text += more
        if not text:
            raise DataError(f"{self._name}: is empty; upload a file with a header line and rows")
        first = text.splitlines(keepends=True)[0]
        try:
            line = first.rstrip(b"\r\n").decode("utf-8")
        except UnicodeDecodeError:
            raise DataError(
                f"{self._name}: the header is not {self._dataset.encoding} text; save the file as "
                f"{self._dataset.encoding} or declare its encoding in datasets/{self._dataset.name}.toml"
            ) from None
        try:
            names = next(csv.reader([line], delimiter=self._dataset.delimiter), [])
        except csv.Error as error:
            raise DataError(f"{self._name}: the header cannot be read ({error}); is this file CSV?") from error
        return names, text[len(first) :]

    def _check_header(self) -> None:
        known, names = self._dataset.columns, self._header
        place = f"datasets/{self._dataset.name}.toml"
        missing = [name for name, column in known.items() if name not in names and not column.optional]
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"{self._name}: the header names {listed(twice)} more than once; each column stands once")
        hint = "; is the delimiter right?" if len(names) == 1 and len(known) > 1 else ""
        if missing:
            added = self.added_columns
            also = f" (and has {listed(added)}, which the contract does not know)" if added else ""
            raise DataError(
                f"{self._name}: lacks {listed(missing)}{also}, so the file is refused as a whole; "
                f"add what is missing or change {place}{hint}{self._encoding_hint()}"
            )
        if self.added_columns and self._dataset.extra_columns == "refuse":
            raise DataError(
                f"{self._name}: has {listed(self.added_columns)}, which the contract does not know, so the file is "
                f"refused as a whole; take it out or add it to {place}"
            )

    def _encoding_hint(self) -> str:
        """Return a hint if columns of the contract come out when the header's bytes are read as UTF-8."""
        for name in self.added_columns:
            try:
                meant = name.encode(self._dataset.encoding).decode("utf-8")
            except UnicodeError:
                continue
            if not name.isascii() and meant.removeprefix("\ufeff") in self._dataset.columns:
                return "; the file looks like UTF-8: is encoding in the contract right?"
        return ""


class _SoundRows:
    """The records of a block that was not cut, found when they are asked for."""

    def __init__(self, block: SoundBlock, line: int) -> None:
        self._block = block
        self._line = line

    @cached_property
    def _starts(self) -> tuple[Positions, Positions]:
        return self._block.starts()

    def line(self, row: int) -> int:
        return self._line + int(self._starts[1][row])

    def record(self, row: int) -> bytes:
        starts = self._starts[0]
        return self._block.text[int(starts[row]) : int(starts[row + 1]) - 1]
