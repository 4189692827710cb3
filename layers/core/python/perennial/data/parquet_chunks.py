"""Where a Parquet file keeps each column of each row group, so that a reader can fetch only what it needs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import duckdb

from perennial.errors import DataError

MAGIC = b"PAR1"
TRAILER = 8
"""Bytes at the end of a file: the footer's length and the magic."""
DIGEST = 32
"""Hex digits kept of a SHA-256: 128 bits are enough to tell a changed chunk, and half the manifest."""

_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Chunk:
    """One column of one row group."""

    row_group: int
    column: str
    stretches: tuple[tuple[int, int], ...]
    """(start, length) in the file: the pages, and the column's Bloom filter if it has one."""
    low: int | None
    """Least value of a column of moments, in microseconds since 1970; None if it is not known."""
    high: int | None
    """Greatest value, likewise."""

    @property
    def size(self) -> int:
        """Bytes of all stretches."""
        return sum(length for _, length in self.stretches)


@dataclass(frozen=True)
class Wanted:
    """Which columns of which rows are needed."""

    columns: frozenset[str]
    """Names; what a file lacks of them is no fault."""
    time: str
    """The column of moments by which row groups are chosen."""
    since: datetime | None = None
    """Without a zone, in UTC: earlier rows are not needed. None means from the beginning."""
    until: datetime | None = None
    """Without a zone, in UTC: later rows are not needed. None means to the end."""

    def of(self, chunks: Sequence[Chunk]) -> tuple[Chunk, ...]:
        """Return the chunks that are needed of a file."""
        groups = {
            chunk.row_group
            for chunk in chunks
            if chunk.column == self.time
            and (self.since is None or chunk.high is None or chunk.high >= _microseconds(self.since))
            and (self.until is None or chunk.low is None or chunk.low <= _microseconds(self.until))
        }
        return tuple(chunk for chunk in chunks if chunk.row_group in groups and chunk.column in self.columns)


def footer_size(tail: bytes) -> int:
    """Return how many bytes at a file's end are its footer, trailer included, going by its last bytes."""
    return int.from_bytes(tail[-TRAILER:-4], "little") + TRAILER


def chunks_of(paths: Sequence[Path]) -> dict[Path, tuple[Chunk, ...]]:
    """Read from files' footers where their chunks are, by row group and column; the rest of a file may be missing.

    Raises
    ------
    DataError
        A footer cannot be read.
    """
    found: dict[str, list[Chunk]] = {str(path): [] for path in paths}
    if not found:
        return {}
    with duckdb.connect() as connection:
        try:
            rows = connection.execute(_METADATA, [list(found)]).fetchall()
        except duckdb.Error as error:
            raise DataError(f"a Parquet file's footer cannot be read: {str(error).splitlines()[0]}") from error
    for name, row_group, column, start, length, bloom, bloom_length, low, high in rows:
        stretches = ((start, length),) if bloom is None else ((start, length), (bloom, bloom_length))
        found[name].append(Chunk(row_group, column, stretches, low, high))
    return {path: tuple(found[str(path)]) for path in paths}


def chunk_digests(path: Path) -> tuple[str, ...]:
    """Return what ranged reads of a Parquet file are checked against: the footer's digest, then each chunk's.

    Each is the first 32 hex digits of a SHA-256, chunks in the order of row groups and columns (`chunks_of`).
    """
    (chunks,) = chunks_of([path]).values()
    with path.open("rb") as file:
        end = file.seek(0, 2)
        footer = footer_size(_read(file, end - TRAILER, TRAILER))
        return (digest([_read(file, end - footer, footer)]), *(digest_of(file, chunk) for chunk in chunks))


def digest_of(file: BinaryIO, chunk: Chunk) -> str:
    """Return the digest of a chunk in an open file."""
    return digest(_read(file, start, length) for start, length in chunk.stretches)


def digest(stretches: Iterable[bytes]) -> str:
    """Return the digest of bytes that come in stretches."""
    total = hashlib.sha256()
    for stretch in stretches:
        total.update(stretch)
    return total.hexdigest()[:DIGEST]


# The engine tells a column's bounds as text; only those of moments are of use here.
_MOMENT = "TRY_CAST({} AS TIMESTAMP)"
_METADATA = f"""
    SELECT file_name, row_group_id, path_in_schema,
        least(data_page_offset, coalesce(dictionary_page_offset, data_page_offset)), total_compressed_size,
        bloom_filter_offset, bloom_filter_length,
        CASE WHEN isfinite({_MOMENT.format("stats_min_value")}) THEN epoch_us({_MOMENT.format("stats_min_value")}) END,
        CASE WHEN isfinite({_MOMENT.format("stats_max_value")}) THEN epoch_us({_MOMENT.format("stats_max_value")}) END
    FROM parquet_metadata(?)
    ORDER BY file_name, row_group_id, column_id
"""


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)
