"""A DuckDB connection that sees one directory and nothing else of the world."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from perennial.errors import DataError
from perennial.sql import identifier, literal

ROW_GROUP = 122_880
"""Rows per Parquet row group: fixed, so that the same rows always make the same bytes."""

PART_FORMAT = (
    "FORMAT parquet, PARQUET_VERSION V2, COMPRESSION lz4_raw, "
    f"DICTIONARY_SIZE_LIMIT 1000, WRITE_BLOOM_FILTER false, ROW_GROUP_SIZE {ROW_GROUP}"
)
"""Options of COPY for parts of snapshots: less time and smaller files than what the engine would choose."""


@dataclass(frozen=True)
class Resources:
    """What one connection may use."""

    memory: str = "1GB"
    """DuckDB's memory limit; what does not fit is spilled into the work directory."""
    threads: int | None = None
    """How many threads; None means one per available core."""


_UNITS = {"B": 1, **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", start=1)}}
_UNITS |= {f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", start=1)}


def share_of(memory: str, workers: int) -> str:
    """Return a memory limit's share for one of several connections.

    Parameters
    ----------
    memory : str
        Such as ``1GB`` or ``512MiB``.
    workers : int
        How many connections there are.
    """
    number, unit = re.findall(r"[\d.]+|[A-Za-z]+", memory)
    return f"{int(float(number) * _UNITS[unit.upper()]) // workers}B"


DEFAULTS = Resources()
"""What steps use unless they are told otherwise."""


@contextmanager
def connect(
    directory: Path, resources: Resources = DEFAULTS, reads: Sequence[Path] = ()
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory database whose SQL can read and write below given directories only.

    Definitions hold SQL that other people wrote: it must not reach files, the network or extensions.

    Parameters
    ----------
    directory : Path
        Holds the files that are written, and what DuckDB spills.
    resources : Resources
        Memory limit and threads.
    reads : sequence of Path
        Files elsewhere that are read.

    Raises
    ------
    DataError
        The work does not fit the memory limit even with spilling.
    """
    connection = duckdb.connect(":memory:")
    try:
        _configure(connection, directory, resources, reads)
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise DataError(
            f"the rows need more than the {resources.memory} that DuckDB may use; "
            "give the step more memory or upload smaller files"
        ) from error
    finally:
        connection.close()


def _configure(
    connection: duckdb.DuckDBPyConnection, directory: Path, resources: Resources, reads: Sequence[Path]
) -> None:
    if resources.threads is not None:
        connection.execute(f"SET threads = {int(resources.threads)}")
    connection.execute(f"SET memory_limit = {literal(resources.memory)}")
    connection.execute(f"SET temp_directory = {literal(str(directory / 'spill'))}")
    # Moments with an offset become UTC, whatever zone the machine is in.
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET preserve_insertion_order = true")
    connection.execute("SET enable_progress_bar = false")
    folders = sorted({str(directory), *(str(path.parent) for path in reads)})
    connection.execute(f"SET allowed_directories = [{', '.join(map(literal, folders))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def write_table(
    connection: duckdb.DuckDBPyConnection, table: str, path: Path, where: str = "true", without: str | None = None
) -> int:
    """Write a table's rows, in the order of their insertion, as zstd Parquet; return how many they are.

    The same rows make the same bytes, whatever the number of threads: without the ORDER BY the engine cuts row
    groups where its threads happened to hand over.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Where the table is.
    table : str
        Its name.
    path : Path
        The file to write.
    where : str
        SQL condition of the rows to write.
    without : str or None
        Quoted name of a column to leave out.
    """
    columns = "*" if without is None else f"* EXCLUDE ({without})"
    return write_query(connection, f"SELECT {columns} FROM {identifier(table)} WHERE {where} ORDER BY rowid", path)


def write_query(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> int:
    """Write what a SELECT gives as zstd Parquet, without holding it in memory; return how many rows it gave.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Where the SELECT runs.
    query : str
        With an ORDER BY that leaves no choice, so that the same rows make the same bytes.
    path : Path
        The file to write.
    """
    row = connection.execute(
        f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
    ).fetchone()
    return int(row[0]) if row else 0


def one(connection: duckdb.DuckDBPyConnection, query: str) -> Sequence[object]:
    """Return a query's only row."""
    row = connection.execute(query).fetchone()
    assert row is not None, "the query always gives a row"
    return row


def sha256_of(path: Path) -> str:
    """Return the SHA-256 (64 hex digits) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
