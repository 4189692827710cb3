"""JSON Lines as a source of rows: one object a line, handed to the engine as one text per column, as from a CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from perennial.data.contract.column_sql import raw
from perennial.data.reading.json_lines import LineReader, shown
from perennial.data.reading.open_text import open_text
from perennial.data.reading.sources import BLOCK, MAX_RECORD, BadRecord, Prepare, Readable, Stretch, listed
from perennial.definitions import Dataset
from perennial.errors import DataError
from perennial.sql import literal


@contextmanager
def open_jsonl(source: Path, dataset: Dataset, folder: Path, *, name: str, block: int) -> Iterator[JsonSource]:
    """Open JSON Lines: plain, gzip or zstd, one object a line.

    A key that a line lacks is absent, as is ``null``. The lines' keys may stand in any order.

    Parameters
    ----------
    source : Path
        The file.
    dataset : Dataset
        Its contract.
    folder : Path
        For files that the engine reads.
    name : str
        What messages call the file.
    block : int
        Bytes of text to take at a time.

    Raises
    ------
    DataError
        The file is empty, is a JSON array, is broken or in another encoding.
    """
    with open_text(source, dataset, name) as stream:
        start = stream.read(block)
        if not start:
            raise DataError(f"{name}: is empty; upload a file with one JSON object a line")
        if start.lstrip()[:1] == b"[":
            raise DataError(f"{name}: is a JSON array; write its objects one a line, without brackets around them")
        first_line, line_end, _ = start.partition(b"\n")
        if line_end and first_line.strip() == b"{":
            raise DataError(f"{name}: has a JSON object over several lines; write each object on one line")
        yield JsonSource(start, stream, dataset, folder, name, block)


class JsonSource:
    """An opened file of JSON Lines; which columns it has is known once all of it was cut."""

    def __init__(self, start: bytes, stream: Readable, dataset: Dataset, folder: Path, name: str, block: int) -> None:
        self._start = start
        self._stream = stream
        self._dataset = dataset
        self._folder = folder
        self._name = name
        self._block = block
        self._reader = LineReader(dataset, name)
        self._stretches = 0

    @property
    def added_columns(self) -> tuple[str, ...]:
        """Keys that the contract does not know, in the order in which they came."""
        return tuple(self._reader.added)

    @property
    def absent_columns(self) -> tuple[str, ...]:
        """Optional columns of the contract that no line has."""
        columns = self._dataset.columns.items()
        return tuple(name for name, column in columns if column.optional and name not in self._reader.seen)

    def stretches(self) -> Iterator[Prepare]:
        """Cut the file into stretches of at most ``block`` bytes, in order.

        Raises
        ------
        DataError
            There is no line end for too long, a column is in no line at all, or the contract refuses other columns.
        """
        line = 1
        for text in self._texts():
            lines = text.splitlines()
            yield self._stretch(lines, line)
            line += len(lines)
        self._check_columns()

    def _texts(self) -> Iterator[bytes]:
        """Cut the stream behind line ends."""
        text = self._start
        while True:
            chunk = self._stream.read(self._block)
            # A CR that ends the text may be half of a CRLF: it waits for the next chunk.
            end = max(text.rfind(b"\n"), text.rfind(b"\r", 0, -1)) + 1 if chunk else len(text)
            if end == 0 and len(text) > BLOCK:
                raise DataError(
                    f"{self._name}: there is no line end in {BLOCK >> 20} MiB; write one JSON object a line"
                )
            if end > 0:
                yield text[:end]
            text = text[end:] + chunk
            if not text:
                return

    def _stretch(self, lines: list[bytes], first: int) -> Prepare:
        """Write what the lines hold as a CSV of texts; which of them are good rows shows on the way."""
        path = self._folder / f"lines-{self._stretches}.csv"
        self._stretches += 1
        # A run of this character that is longer than any in the lines can stand for "absent" (it has to be escaped).
        null = "\x01" * (sum(text.count(b"\\u0001") for text in lines if b"\\u" in text) + 1)
        good: list[int] = []
        bad: list[BadRecord] = []
        multiline = False
        with path.open("w", encoding="utf-8", newline="") as file:
            write = csv.writer(file, lineterminator="\r\n").writerow
            for number, text in enumerate(lines):
                row = self._reader.read(text, first + number)
                if isinstance(row, BadRecord):
                    bad.append(row)
                    continue
                write(row if None not in row else [null if value is None else value for value in row])
                good.append(number)
                multiline = multiline or b"\\n" in text or b"\\r" in text or b"\\u00" in text
        rows = _Rows(self._reader, lines, good, first)
        stretch = Stretch(
            select=_select(path, len(self._dataset.columns), null, multiline) + ("" if good else " WHERE false"),
            rows=len(good),
            line=rows.line,
            value=rows.value,
            raw=rows.raw,
            bad=bad,
            files=[path],
        )

        def prepare(connection: duckdb.DuckDBPyConnection) -> Stretch:
            return stretch

        return prepare

    def _check_columns(self) -> None:
        seen, columns = self._reader.seen, self._dataset.columns
        missing = [name for name, column in columns.items() if name not in seen and not column.optional]
        if self._reader.objects and missing:
            raise DataError(
                f"{self._name}: no line has {listed(missing, 'key')}, so the file is refused as a whole; "
                f"add what is missing or change datasets/{self._dataset.name}.toml"
            )


@dataclass(frozen=True)
class _Rows:
    """The lines of a stretch that became rows, to be read again for what the quarantine says of them."""

    reader: LineReader
    lines: Sequence[bytes]
    good: Sequence[int]
    first: int

    def line(self, row: int) -> int:
        return self.first + self.good[row]

    def value(self, row: int, column: int) -> str | None:
        return self.reader.written(self.lines[self.good[row]], column)

    def raw(self, row: int) -> str:
        return shown(self.lines[self.good[row]])


def _select(path: Path, width: int, null: str, multiline: bool) -> str:
    columns = ", ".join(f"{literal(raw(place)[1:-1])}: 'VARCHAR'" for place in range(width))
    # A record with line ends inside may straddle the parts that parallel readers take.
    return (
        f"SELECT * FROM read_csv({literal(str(path))}, columns = {{{columns}}}, auto_detect = false, header = false, "
        f"delim = ',', quote = '\"', escape = '\"', new_line = '\\r\\n', nullstr = {literal(null)}, "
        f"allow_quoted_nulls = true, max_line_size = {2 * MAX_RECORD}, buffer_size = {8 * MAX_RECORD}, "
        f"parallel = {str(not multiline).lower()})"
    )
