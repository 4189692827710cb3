"""What must be written to the online store so that it holds each entity's two latest rows of a stored view."""

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
LONGEST_MONTH = timedelta(days=31)


@dataclass(frozen=True)
class OnlineChanges:
    """How the latest rows of a table, with those before them, differ from those of the tables before it."""

    view: FeatureView
    connection: duckdb.DuckDBPyConnection
    bases: int

    def rows(self) -> Iterator[OnlineRow]:
        """Return the entities' latest rows, by entity, where they or those before them differ from an earlier table's.

        Feature times without a zone are taken as UTC; values that are not finite become None, as in training. The
        engine makes doubles of decimals and of integers beyond 64 bits, as where training rows are made: Python
        rounds them otherwise. Entities are as they are, for online, too, their key is made of the column's values.
        """
        kinds = self.connection.execute("DESCRIBE latest").fetchall()
        wide = [name for name, kind, *_ in kinds if kind.startswith(_WIDE) and name not in self.view.entity]
        doubles = ", ".join(f"CAST({identifier(name)} AS DOUBLE) AS {identifier(name)}" for name in wide)
        selected = f"* REPLACE ({doubles})" if wide else "*"
        entity, time = _entity(self.view), _time(self.view)
        pairs = [pair for base in range(self.bases) for pair in (("latest", f"base{base}"), (f"base{base}", "latest"))]
        unlike = " UNION ".join(f"SELECT {entity} FROM (FROM {one} EXCEPT FROM {other})" for one, other in pairs)
        place = f"row_number() OVER (PARTITION BY {entity} ORDER BY {time} DESC)"
        query = (
            f"SELECT {place}, {selected} FROM latest SEMI JOIN ({unlike}) USING ({entity}) ORDER BY {entity}, {time}"
        )
        previous = None
        for number, row in self._online_rows(query):
            if number == 2:
                previous = row  # the latest of the entity comes next
                continue
            yield OnlineRow(
                row.entity, row.feature_time, row.values, _expiry(row.feature_time, self.view.ttl), previous
            )
            previous = None

    def gone(self) -> Iterator[tuple[Any, ...]]:
        """Return the entities that have no row any more: they are touched, so an earlier table had one."""
        entity = _entity(self.view)
        query = f"SELECT {entity} FROM touched ANTI JOIN latest USING ({entity}) ORDER BY {entity}"
        cursor = self.connection.execute(query)
        while chunk := cursor.fetchmany(10_000):
            yield from chunk

    def _online_rows(self, query: str) -> Iterator[tuple[int, OnlineRow]]:
        """Yield what a query gives, each row behind its place among those of the entity."""
        cursor = self.connection.execute(query)
        place = {column[0]: number for number, column in enumerate(cursor.description) if number}
        entity = [place.pop(name) for name in self.view.entity]
        time = place.pop(str(self.view.feature_time))
        while chunk := cursor.fetchmany(10_000):
            for row in chunk:
                values = {name: _plain(row[number]) for name, number in place.items()}
                yield row[0], OnlineRow(tuple(row[number] for number in entity), row[time].replace(tzinfo=UTC), values)


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
    """Compare the latest rows of a table, and those before them, with those of earlier tables.

    Parameters
    ----------
    view : FeatureView
        A view of kind ``stored``.
    changed : sequence of Path
        The parts that are not in all of these tables, at least one: only their entities can have changed.
    table : iterable of sequence of Path
        The parts of the table, stretch by stretch, the latest feature times first. A stretch is asked for only if
        those before it do not tell an entity's rows.
    bases : sequence of iterables like ``table``
        The earlier tables of which rows may be online; one without any stretch stands for an empty online store. They
        are read as far back as the table is: rows from before that are nobody's, or come with a difference after it.
    folder : Path
        Holds all of these files, and what DuckDB spills.
    resources : Resources
        What DuckDB may use.
    """
    with connect(folder, resources) as connection:
        entity = _entity(view)
        connection.execute(f"CREATE TABLE touched AS SELECT DISTINCT {entity} FROM {_parquet(changed)}")
        depth = None
        for name, stretches in [("latest", table), *((f"base{number}", base) for number, base in enumerate(bases))]:
            connection.execute(f"CREATE TABLE {name} AS FROM {_parquet(changed[:1])} LIMIT 0")
            reached = _find_latest(connection, view, name, stretches, depth)
            depth = reached if name == "latest" else depth
        yield OnlineChanges(view, connection, len(bases))


def previous_reach(view: FeatureView) -> int | None:
    """Return how far before an entity's latest row the previous one is sought, in microseconds; None without a bound.

    The latest row of feature time T is made from rows of its month, or of the ``window`` before it: one that happened
    at ``T - window - 31 days`` or later. It was uploaded after that, so the moments between which and T a previous
    row is asked for are later, too; and of what was known at these, nothing from before their ``ttl`` counts. Without
    a ttl any value may count, and without a window all is one stretch: these have no bound.
    """
    if view.ttl is None or view.window is None:
        return None
    return sum(each // timedelta(microseconds=1) for each in (view.ttl, view.window, LONGEST_MONTH))


def _find_latest(
    connection: duckdb.DuckDBPyConnection,
    view: FeatureView,
    name: str,
    stretches: Iterable[Sequence[Path]],
    depth: int | None,
) -> int | None:
    """Put the touched entities' latest rows and those before them into a table.

    It reads until all of them are found, or down to a depth: a moment in microseconds since 1970. It returns the
    depth that it has reached; None if there was no more to read.
    """
    entity, time, reach = _entity(view), _time(view), previous_reach(view)
    by_entity = f"PARTITION BY {entity} ORDER BY {time} DESC"
    reached = None
    connection.execute("CREATE OR REPLACE TEMP TABLE sought AS FROM touched")
    for files in stretches:
        parts = _parquet(files)
        (low,) = one(connection, f"SELECT epoch_us(min({time})) FROM {parts}")
        if not isinstance(low, int):
            continue  # no rows
        connection.execute(
            f"INSERT INTO {name} FROM {parts} SEMI JOIN sought USING ({entity}) "
            f"QUALIFY row_number() OVER ({by_entity}) <= 2"
        )
        # All that follows is earlier than this stretch: where the bound lies in it, there is no more to be found.
        found = "count(*) > 1" if reach is None else f"count(*) > 1 OR epoch_us(max({time})) - {reach} >= {low}"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE sought AS FROM sought ANTI JOIN "
            f"(SELECT {entity} FROM {name} GROUP BY {entity} HAVING {found}) USING ({entity})"
        )
        if one(connection, "SELECT count(*) FROM sought") == (0,):
            reached = low
            break
        if depth is not None and low <= depth:
            break
    age = f"epoch_us(max({time}) OVER (PARTITION BY {entity})) - epoch_us({time})"
    near = "true" if reach is None else f"{age} <= {reach}"
    connection.execute(
        f"CREATE OR REPLACE TABLE {name} AS FROM {name} QUALIFY row_number() OVER ({by_entity}) <= 2 AND {near}"
    )
    return reached


def _parquet(files: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(path)) for path in files)}])"


def _entity(view: FeatureView) -> str:
    return ", ".join(map(identifier, view.entity))


def _time(view: FeatureView) -> str:
    return identifier(str(view.feature_time))


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
