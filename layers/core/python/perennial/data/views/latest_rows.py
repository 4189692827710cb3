"""What must be written to the online store so that it holds each entity's latest row of a stored view."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from perennial.data.engine import DEFAULTS, Resources, connect, one
from perennial.definitions import FeatureView
from perennial.ports import OnlineRow
from perennial.sql import identifier, literal

_WIDE = ("DECIMAL", "HUGEINT", "UHUGEINT")
GRACE = timedelta(days=1)
"""How long a row stays online beyond its ttl: readers judge its age, by their own clocks and the rows' times."""


@dataclass(frozen=True)
class OnlineChanges:
    """How the latest rows of a table differ from those of the tables before it."""

    view: FeatureView
    connection: duckdb.DuckDBPyConnection
    bases: int

    def rows(self) -> Iterator[OnlineRow]:
        """Return the latest rows that are new or differ from one of the earlier tables', by entity.

        Feature times without a zone are taken as UTC; values that are not finite become None, as in training. The
        engine makes doubles of decimals and of integers beyond 64 bits, as where training rows are made: Python
        rounds them otherwise. Entities are as they are, for online, too, their key is made of the column's values.
        """
        kinds = self.connection.execute("DESCRIBE latest").fetchall()
        wide = [name for name, kind, *_ in kinds if kind.startswith(_WIDE) and name not in self.view.entity]
        doubles = ", ".join(f"CAST({identifier(name)} AS DOUBLE) AS {identifier(name)}" for name in wide)
        selected = f"SELECT * REPLACE ({doubles})" if wide else "SELECT *"
        unlike = " UNION ".join(f"(FROM latest EXCEPT FROM base{number})" for number in range(self.bases))
        for values in self._found(f"{selected} FROM ({unlike}) ORDER BY {_entity(self.view)}"):
            at = values[str(self.view.feature_time)].replace(tzinfo=UTC)
            keys = {*self.view.entity, self.view.feature_time}
            yield OnlineRow(
                tuple(values[name] for name in self.view.entity),
                at,
                {name: _plain(value) for name, value in values.items() if name not in keys},
                _expiry(at, self.view.ttl),
            )

    def gone(self) -> Iterator[tuple[Any, ...]]:
        """Return the entities that have no row any more, but had one in an earlier table."""
        entity = _entity(self.view)
        had = " UNION ".join(f"SELECT {entity} FROM base{number}" for number in range(self.bases))
        query = f"SELECT {entity} FROM ({had}) ANTI JOIN latest USING ({entity}) ORDER BY {entity}"
        for values in self._found(query):
            yield tuple(values.values())

    def _found(self, query: str) -> Iterator[dict[str, Any]]:
        cursor = self.connection.execute(query)
        names = [column[0] for column in cursor.description]
        while chunk := cursor.fetchmany(10_000):
            for row in chunk:
                yield dict(zip(names, row, strict=True))


@contextmanager
def online_changes(
    view: FeatureView,
    changed: Sequence[Path],
    table: Iterable[Sequence[Path]],
    bases: Sequence[Iterable[Sequence[Path]]],
    folder: Path,
    *,
    resources: Resources = DEFAULTS,
) -> Iterator[OnlineChanges]:
    """Compare the latest rows of a table with those of earlier ones.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``stored``.
    changed : sequence of Path
        The parts that are not in all of these tables, at least one: only their entities can have changed.
    table : iterable of sequence of Path
        The parts of the table, stretch by stretch, the latest feature times first. A stretch is asked for only if
        an entity has had no row in those before it.
    bases : sequence of iterables like ``table``
        The earlier tables of which rows may be online; one without any stretch stands for an empty online store.
    folder : Path
        Holds all of these files, and what DuckDB spills.
    resources : Resources
        What DuckDB may use.
    """
    with connect(folder, resources) as connection:
        entity = _entity(view)
        connection.execute(f"CREATE TABLE touched AS SELECT DISTINCT {entity} FROM {_parquet(changed)}")
        for name, stretches in [("latest", table), *((f"base{number}", base) for number, base in enumerate(bases))]:
            connection.execute(f"CREATE TABLE {name} AS FROM {_parquet(changed[:1])} LIMIT 0")
            _find_latest(connection, view, name, stretches)
        yield OnlineChanges(view, connection, len(bases))


def _find_latest(
    connection: duckdb.DuckDBPyConnection, view: FeatureView, name: str, stretches: Iterable[Sequence[Path]]
) -> None:
    entity, time = _entity(view), identifier(str(view.feature_time))
    for files in stretches:
        connection.execute(
            f"INSERT INTO {name} FROM {_parquet(files)} "
            f"SEMI JOIN (FROM touched ANTI JOIN {name} USING ({entity})) USING ({entity}) "
            f"QUALIFY row_number() OVER (PARTITION BY {entity} ORDER BY {time} DESC) = 1"
        )
        if one(connection, f"SELECT (SELECT count(*) FROM {name}) = (SELECT count(*) FROM touched)") == (True,):
            return


def _parquet(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(path)) for path in files)}])"


def _entity(view: FeatureView) -> str:
    return ", ".join(map(identifier, view.entity))


def _expiry(at: datetime, ttl: timedelta | None) -> datetime | None:
    try:
        return None if ttl is None else at + ttl + GRACE
    except OverflowError:  # behind the year 9999, which is never
        return None


def _plain(value: object) -> float | int | str | bool | None:
    """Return a value as the online store keeps it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
