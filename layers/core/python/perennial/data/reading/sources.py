"""What a file's format gives to validation: stretches of consecutive rows that the engine can read, and the bad rows.

A format is a function that opens a file (`perennial.data.reading.csv_source.open_csv`, ``json_source.open_jsonl``,
``parquet_source.open_parquet``), all of the same form::

    @contextmanager
    def open_csv(source: Path, dataset: Dataset, folder: Path, *, name: str, block: int) -> Iterator[Source]

``folder`` is for files that the engine reads, ``name`` is what messages call the file, ``block`` is how many bytes
of text to take at a time. It raises DataError if the file as a whole is unusable. A file may be opened twice, and
then gives the same stretches again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import duckdb

BLOCK = 16 << 20
"""Bytes of text that are handled at a time."""
MAX_RECORD = 1 << 20
"""Bytes beyond which a record is refused."""
MAX_RAW = 10_000
"""Characters of a bad record that the quarantine keeps."""


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes; none at the end."""


@dataclass(frozen=True)
class BadRecord:
    """A row that goes to quarantine."""

    line: int
    """1-based line of the file on which the row begins, where a CSV's header is line 1; of a Parquet file, the row."""
    column: str | None
    value: str | None
    rule: str
    reason: str
    raw: str
    faults: Sequence[str] = ()
    """All that the row breaks, as ``column: rule`` or ``rule``; empty if it is ``rule`` alone."""


@dataclass
class Stretch:
    """Consecutive rows of a file, ready to be typed by the engine, and the bad records between them."""

    select: str
    """SELECT that gives, in the file's order, one column ``column_sql.raw(i)`` for each column i of the contract.

    They are VARCHAR, null where the value is absent, except those in ``native``. A column that the file lacks is
    ``CAST(NULL AS VARCHAR)``.
    """
    rows: int
    """Rows that the SELECT must give."""
    line: Callable[[int], int]
    """Row (from 0) to its line, or row number of a Parquet file."""
    value: Callable[[int, int], str | None]
    """Row and position of a contract's column to the value as it was written; None for absent."""
    raw: Callable[[int], str]
    """Row to its raw text, at most ``MAX_RAW`` characters."""
    native: frozenset[int] = frozenset()
    """Positions of columns whose ``raw(i)`` is of the contract's SQL type (``column_sql.sql_type``) already."""
    typed_select: Callable[[Mapping[int, str]], str] | None = None
    """Like ``select``, with given columns as given SQL types; reading it raises on text that is not of that type."""
    again: Callable[[], Stretch] | None = None
    """The same rows read with more care, for when the engine fails to read ``rows`` rows from ``select``."""
    bad: Sequence[BadRecord] = ()
    """Records that never reach the engine (form, encoding …), by line."""
    files: list[Path] = field(default_factory=list)
    """Files in the folder that are deleted once the stretch is done."""


Prepare = Callable[[duckdb.DuckDBPyConnection], Stretch]
"""Makes a stretch ready; it is called on the thread of the connection that will read it, out of order."""


class Source(Protocol):
    """An opened file."""

    @property
    def added_columns(self) -> tuple[str, ...]:
        """Columns of the file that the contract does not know."""

    @property
    def absent_columns(self) -> tuple[str, ...]:
        """Optional columns of the contract that the file lacks."""

    def stretches(self) -> Iterator[Prepare]:
        """Cut the file, in its order; what takes time is better left to the `Prepare` than done here."""


def listed(names: Sequence[str], noun: str = "column") -> str:
    """Return names as a sentence has them: few, short and on one line, whatever a file calls its columns."""
    shown = ", ".join(_visible(name) for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"the {noun}{'s' * (len(names) > 1)} {shown}{more}"


def _visible(name: str) -> str:
    short = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in name[:60])
    return (short or "''") + "…" * (len(name) > 60)
