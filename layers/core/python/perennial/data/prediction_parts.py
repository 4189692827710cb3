"""Parts of the prediction log: Parquet of one version's predictions, a row each, with a column for each feature."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb

from perennial.data.engine import Resources, connect, write_query
from perennial.sql import identifier, literal

TYPES = {
    "request_id": "VARCHAR",
    "row": "INTEGER",
    "rows": "INTEGER",
    "answered_at": "BIGINT",
    "route": "VARCHAR",
    "milliseconds": "DOUBLE",
    "error": "VARCHAR",
    "inputs": "VARCHAR",
    "prediction": "DOUBLE",
    "probabilities": "DOUBLE[]",
    "process": "VARCHAR",
    "sequence": "BIGINT",
    "unwritten": "BIGINT",
}
"""Column of every part to the type of its values as they are given; those of the features come behind.

A feature's name has ``__`` in it, so none is named like one of these.
"""
_RESOURCES = Resources(memory="512MB", threads=1)


class PartRow(NamedTuple):
    """One row of a part."""

    request_id: str
    row: int
    rows: int
    """How many the request has."""
    answered_at: int
    """Microseconds since 1970; a part has a TIMESTAMP of it, in UTC."""
    route: str
    milliseconds: float
    error: str
    inputs: str
    """A JSON object."""
    prediction: float | None
    probabilities: Sequence[float] | None
    process: str
    sequence: int
    unwritten: int
    features: Sequence[float | None]
    """In the order of the names; none at all if the version failed before there were any."""


def part_of(rows: Sequence[PartRow], features: Sequence[str]) -> tuple[bytes, int]:
    """Return rows as a part, and how many they are: the same rows make the same bytes, in whatever order they come.

    Parameters
    ----------
    rows : sequence of PartRow
        What is there twice (by request, row and route) is kept once.
    features : sequence of str
        Names of the features.
    """
    kept = {(row.request_id, row.row, row.route): row for row in sorted(rows, key=_order)}
    columns = list(zip(*kept.values(), strict=True))
    missing = (None,) * len(features)
    values = zip(*(seen or missing for seen in columns[-1]), strict=True)
    given = dict(zip(TYPES, columns, strict=False)) | dict(zip(features, values, strict=True))
    types = TYPES | dict.fromkeys(features, "DOUBLE")
    chosen = []
    for name, kind in types.items():
        column = f"unnest(CAST(? AS {kind}[]))"
        chosen.append(f"{f'make_timestamp({column})' if name == 'answered_at' else column} AS {identifier(name)}")
    with _scratch() as (folder, connection):
        path = folder / "part.parquet"
        connection.execute(f"CREATE TABLE part AS SELECT {', '.join(chosen)}", [list(given[name]) for name in types])
        count = write_query(connection, "SELECT * FROM part ORDER BY rowid", path)
        return path.read_bytes(), count


def _order(row: PartRow) -> tuple[str, int, str, str, int]:
    return row.request_id, row.row, row.route, row.process, row.sequence


@contextmanager
def opened(parts: Sequence[bytes]) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[str]]]:
    """Open a connection that reads parts; yields it and, for each part, what stands for it in FROM."""
    with _scratch() as (folder, connection):
        paths = [folder / f"{number}.parquet" for number in range(len(parts))]
        for path, part in zip(paths, parts, strict=True):
            path.write_bytes(part)
        yield connection, [f"read_parquet({literal(str(path))})" for path in paths]


@contextmanager
def _scratch() -> Iterator[tuple[Path, duckdb.DuckDBPyConnection]]:
    with TemporaryDirectory() as folder, connect(Path(folder), _RESOURCES) as connection:
        yield Path(folder), connection


@dataclass(frozen=True)
class FoundRow:
    """What the log holds of a prediction."""

    request_id: str
    row: int
    answered_at: datetime
    """In UTC, without a zone."""
    route: str
    milliseconds: float
    error: str
    inputs: dict[str, Any]
    prediction: float | None
    probabilities: list[float] | None
    features: dict[str, float | None]


def find_row(part: bytes, request_id: str, row: int) -> FoundRow | None:
    """Return a row of a part, None if it does not have it."""
    with opened([part]) as (connection, (source,)):
        query = f"SELECT * FROM {source} WHERE request_id = ? AND row = ? ORDER BY route LIMIT 1"
        answer = connection.execute(query, [request_id, row])
        names = [column[0] for column in answer.description or ()]
        found = answer.fetchone()
    return None if found is None else _found(dict(zip(names, found, strict=True)))


def _found(said: dict[str, Any]) -> FoundRow:
    features = {name: value for name, value in said.items() if name not in TYPES}
    kept = {name: said[name] for name in FoundRow.__dataclass_fields__ if name in said}
    return FoundRow(**{**kept, "inputs": json.loads(said["inputs"]), "features": features})


def rows_of(parts: Sequence[bytes]) -> dict[str, int]:
    """Return the requests of which some parts hold rows, with how many rows each request has."""
    with opened(parts) as (connection, sources):
        queries = [f"SELECT DISTINCT request_id, rows FROM {source}" for source in sources]
        return dict(row for query in queries for row in connection.execute(query).fetchall())
