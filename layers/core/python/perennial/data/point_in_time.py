"""The point-in-time join: each row with what was known at its event time, and nothing that became known later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from perennial.definitions import FeatureView
from perennial.manifest import feature_column
from perennial.sql import identifier, literal


@dataclass(frozen=True)
class StoredLookup:
    """What is looked up in a stored view's offline table."""

    view: FeatureView
    parts: Sequence[Path]
    """Parquet files of the table, in any order; none means that nothing is known yet."""
    columns: tuple[str, ...]
    """Columns of the view to add."""
    entity: tuple[str, ...] = ()
    """The rows' own names for the view's entity columns, in its order; empty: the same names."""
    since: datetime | None = None
    """Feature time, in UTC without a zone, before which no value is read; None means from the beginning."""
    until: datetime | None = None
    """Feature time, in UTC without a zone, after which no value is read; None means to the end."""


def join_features(
    connection: duckdb.DuckDBPyConnection, base: str, event_time: str, lookups: Sequence[StoredLookup]
) -> str:
    """Return the SELECT that adds stored views' values to rows, each as it was known at the row's event time.

    The rule, offline and online alike: of the values of the row's entity with ``feature_time <= event_time`` the one
    with the latest feature time counts, so a value that became known at the very moment of the row is seen, and one
    that became known a microsecond later is not. It counts as missing when it is older than the view's ttl
    (``event_time - feature_time > ttl``); an older value never takes its place. A stored view has no two values of one
    entity at one moment (computing it refuses them), so there are no ties. A row without event time, or without one of
    its entity columns, matches nothing. Rows are neither dropped nor repeated; their order is not kept.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        Where the SELECT will run: the columns of the base are asked of it.
    base : str
        A SELECT of the rows: the entity columns of every lookup, the event time, and what else is wanted.
    event_time : str
        The base's column of event times: TIMESTAMP in UTC, or a type that casts to it.
    lookups : sequence of StoredLookup
        What to add.

    Returns
    -------
    str
        A SELECT of all columns of the base, then ``view__column`` for each lookup's columns, in the views' own types
        (NULL where nothing is known). The engine sorts and spills; memory stays within its limit.
    """
    base_columns = [row[0] for row in connection.execute(f"DESCRIBE {base}").fetchall()]
    selected = [f"b.{identifier(name)}" for name in base_columns]
    moment = f"CAST(b.{identifier(event_time)} AS TIMESTAMP)"
    joins = []
    for number, lookup in enumerate(lookups):
        table = f"v{number}"
        if not lookup.parts:
            selected += [f"NULL::DOUBLE AS {_named(lookup, column)}" for column in lookup.columns]
            continue
        joins.append(f"ASOF LEFT JOIN ({_values(lookup)}) AS {table} ON {_condition(lookup, table, moment)}")
        for column in lookup.columns:
            selected.append(f"{_unless_stale(lookup, table, moment, column)} AS {_named(lookup, column)}")
    return f"SELECT {', '.join(selected)} FROM ({base}) AS b {' '.join(joins)}"


def _values(lookup: StoredLookup) -> str:
    """Return the SELECT of a lookup's values, under names that no view can clash with: e0, known_at, c0 and so on."""
    time = identifier(str(lookup.view.feature_time))
    columns = [f"{identifier(name)} AS e{number}" for number, name in enumerate(lookup.view.entity)]
    columns.append(f"{time} AS known_at")
    columns += [f"{identifier(name)} AS c{number}" for number, name in enumerate(lookup.columns)]
    files = ", ".join(literal(str(path)) for path in lookup.parts)
    conditions = [
        f"{time} {sign} TIMESTAMP {literal(bound.isoformat(sep=' '))}"
        for sign, bound in ((">=", lookup.since), ("<=", lookup.until))
        if bound is not None
    ]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"SELECT {', '.join(columns)} FROM read_parquet([{files}]){where}"


def _condition(lookup: StoredLookup, table: str, moment: str) -> str:
    names = lookup.entity or lookup.view.entity
    same = [f"b.{identifier(name)} = {table}.e{number}" for number, name in enumerate(names)]
    return " AND ".join([*same, f"{moment} >= {table}.known_at"])


def _unless_stale(lookup: StoredLookup, table: str, moment: str, column: str) -> str:
    value = f"{table}.c{lookup.columns.index(column)}"
    if lookup.view.ttl is None:
        return value
    # Whole microseconds: an interval would count a month as thirty days.
    most = int(lookup.view.ttl.total_seconds()) * 1_000_000
    return f"CASE WHEN epoch_us({moment}) - epoch_us({table}.known_at) <= {most} THEN {value} END"


def _named(lookup: StoredLookup, column: str) -> str:
    return identifier(feature_column(lookup.view.name, column))
