"""What a Parquet file's footer claims: form, rows, sizes and columns, held against bounds before a row is read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from perennial.data.reading.parquet_columns import NO_VALUES
from perennial.data.reading.sources import listed
from perennial.errors import DataError
from perennial.sql import identifier, literal

MAX_CHUNK = 1 << 30
"""Unpacked bytes of one column in one row group beyond which a file is refused."""
MAX_RATIO = 1000
"""How many times its own size a file may unpack to, once that is more than ``MAX_CHUNK`` bytes."""

_PATH = re.compile(r'(Parquet )?([Ff]ile )?"[^"]*upload[.]parquet"')

NUMBER = "file_row_number"
"""What the engine calls a row's number."""


@dataclass(frozen=True)
class Shape:
    """How large a file claims to be."""

    rows: int
    unpacked: int
    """Bytes."""
    size: int
    """Bytes of the file."""


def check_form(source: Path, name: str) -> None:
    """Make sure that a file begins and ends as Parquet does.

    Raises
    ------
    DataError
        It is empty, cut off, encrypted, packed or something else; the message says which.
    """
    size = source.stat().st_size
    with source.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, size - 4))
        end = file.read()
    if not start:
        raise DataError(f"{name}: is empty; upload a Parquet file with rows")
    if b"PARE" in (start, end):
        raise DataError(f"{name}: is encrypted Parquet; write it without encryption, the bucket encrypts it")
    if start[:2] == b"\x1f\x8b" or start == b"\x28\xb5\x2f\xfd":
        raise DataError(f"{name}: is packed; upload the Parquet as it is, its columns are compressed within")
    if start != b"PAR1":
        raise DataError(f"{name}: is not Parquet; write it as Parquet or declare the format that it has")
    if end != b"PAR1" or size < 12:
        raise DataError(f"{name}: is Parquet that was cut off; write and upload it again")


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what the engine says of a broken file into a DataError; lack of memory is the caller's affair."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        what = _PATH.sub("it", str(error).splitlines()[0])
        raise DataError(f"{name}: cannot be read as Parquet ({what}); write it again") from error


def read_shape(connection: duckdb.DuckDBPyConnection, path: Path, name: str, columns: int) -> Shape:
    """Return how many rows and bytes the footer claims.

    Raises
    ------
    DataError
        There are no rows, or more rows or bytes than the bounds.
    """
    file = literal(str(path))
    row = connection.execute(f"SELECT num_rows FROM parquet_file_metadata({file})").fetchone()
    rows = int(row[0]) if row else 0
    sizes = connection.execute(
        f"SELECT coalesce(max(total_uncompressed_size), 0), coalesce(sum(total_uncompressed_size), 0), "
        f"coalesce(min(total_uncompressed_size), 0), coalesce(min(row_group_num_rows), 0) FROM parquet_metadata({file})"
    ).fetchone()
    largest, unpacked, *least = map(int, sizes or (0, 0, 0, 0))
    if rows == 0:
        raise DataError(f"{name}: has no rows; upload a file with rows")
    if rows < 0 or min(least) < 0:
        raise DataError(f"{name}: is broken Parquet (its footer claims fewer than no rows or bytes); write it again")
    if largest > MAX_CHUNK:
        raise DataError(
            f"{name}: a column's row group unpacks to {largest} bytes, more than {MAX_CHUNK}; write smaller row groups"
        )
    size = path.stat().st_size
    # A page of some bytes may claim any number of equal values, which are as many values all the same.
    check_ratio(max(unpacked, 8 * rows * columns), size, name)
    return Shape(rows, unpacked, size)


def check_ratio(unpacked: int, size: int, name: str) -> None:
    """Refuse a file that unpacks to far more bytes than it has."""
    if unpacked > max(MAX_CHUNK, MAX_RATIO * size):
        raise DataError(
            f"{name}: unpacks to {unpacked} bytes or more, over {MAX_RATIO} times its size; upload it in parts"
        )


def read_columns(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> dict[str, tuple[str, str]]:
    """Return the file's columns: name to the engine's identifier and type.

    The engine renames columns whose names differ in case alone, so names come from the schema, by place.

    Raises
    ------
    DataError
        A name stands twice.
    """
    file = literal(str(path))
    nodes = connection.execute(f"SELECT name, num_children, logical_type FROM parquet_schema({file})").fetchall()
    names, empty, open_children = [], set(), 0
    for node, children, meaning in nodes[1:]:
        if open_children == 0:
            names.append(str(node))
            empty.update([str(node)] if meaning == "NullType()" else [])
        open_children += (children or 0) - (open_children > 0)
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{name}: has {listed(twice)} more than once; each column stands once")
    if NUMBER in (column.lower() for column in names):
        raise DataError(f"{name}: has a column {NUMBER}, a name that the engine keeps for itself; rename it")
    described = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({file})").fetchall()
    if len(described) != len(names):
        raise DataError(f"{name}: is broken Parquet (its schema does not add up); write it again")
    return {
        column: (identifier(engine_name), NO_VALUES if column in empty else str(kind))
        for column, (engine_name, kind, *_) in zip(names, described, strict=True)
    }
