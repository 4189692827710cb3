"""Values of stored views by key: what is known now, from the online store, or at a moment, from the offline tables."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from perennial.data.engine import connect
from perennial.data.parquet_chunks import Wanted
from perennial.data.point_in_time import StoredLookup, join_features
from perennial.data.views.view_sql import DatasetTable, create_table
from perennial.definitions import Column, Dataset, FeatureView
from perennial.definitions.files import Definitions
from perennial.errors import DataError, NotFoundError
from perennial.manifest import feature_column
from perennial.ports import Lookup, OnlineRow, Ports
from perennial.records import ViewManifest
from perennial.serving.values import reader
from perennial.sql import identifier, sql_type
from perennial.steps.snapshots.part_files import PartFiles
from perennial.steps.verified import read_verified
from perennial.utc import naive_utc

Entity = tuple[Any, ...]


def stored_view(definitions: Definitions, name: str) -> FeatureView:
    """Return a stored view.

    Raises
    ------
    NotFoundError
        There is no such view, or it is a request view, whose values are kept nowhere.
    """
    view = definitions.view(name)
    if view.kind != "stored":
        stored = ", ".join(sorted(each.name for each in definitions.views.values() if each.kind == "stored"))
        raise NotFoundError(
            f"view {name} is computed from each request and kept nowhere; stored views are {stored or 'none'}"
        )
    return view


def view_columns(definitions: Definitions, view: FeatureView) -> tuple[str, ...]:
    """Return the columns of a stored view that are neither its entity's nor its feature time, in the SELECT's order."""
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder)) as connection:
        names = _bind(connection, definitions, view)
    return tuple(name for name in names if name not in (*view.entity, view.feature_time))


def chosen_columns(definitions: Definitions, view: FeatureView, columns: Sequence[str] | None) -> tuple[str, ...]:
    """Return the columns that are asked for, all by default; NotFoundError that lists those there are."""
    known = view_columns(definitions, view)
    for name in columns or ():
        if name not in known:
            raise NotFoundError(f"view {view.name} has no column {name!r}; it has {', '.join(known) or 'none'}")
    return known if columns is None else tuple(columns)


def entity_of(definitions: Definitions, view: FeatureView, key: object) -> Entity:
    """Return a key as the view's entity, each part typed as the contract types its column.

    Parameters
    ----------
    definitions : Definitions
        Where the view's dataset stands.
    view : FeatureView
        A stored view.
    key : object
        A mapping of entity column to value; a sequence of values in the view's order; or, of one column, its value.

    Raises
    ------
    NotFoundError
        The key names other columns than the view's.
    DataError
        A value is not of its column's type.
    """
    if isinstance(key, Mapping):
        if set(key) != set(view.entity):
            raise NotFoundError(f"view {view.name} is kept by {' and '.join(view.entity)}, not by {', '.join(key)}")
        parts = [key[name] for name in view.entity]
    else:
        parts = list(key) if isinstance(key, tuple | list) else [key]
        if len(parts) != len(view.entity):
            raise NotFoundError(
                f"view {view.name} is kept by {' and '.join(view.entity)}; give a value of each, not {len(parts)}"
            )
    columns = definitions.dataset(view.dataset).columns
    return tuple(_typed(view, name, columns[name], part) for name, part in zip(view.entity, parts, strict=True))


def rows_now(
    ports: Ports, view: FeatureView, entities: Sequence[Entity], columns: Sequence[str]
) -> list[OnlineRow | None]:
    """Return what the online store knows now of each entity, whatever its age, None where nothing.

    As where predictions are made, the latest row counts from its feature time on, and until then the one before it.
    One round trip per 100 entities.
    """
    version, now = ports.definitions.view_version(view.name), ports.clock.now()
    (found,) = ports.online.read_many([Lookup(view.name, version, entities, columns, now)])
    return [row.known_at(now) if (row := found.get(entity)) else None for entity in entities]


def rows_at(
    ports: Ports, view: FeatureView, entities: Sequence[Entity], columns: Sequence[str], at: datetime
) -> list[OnlineRow | None]:
    """Return what was known of each entity at a moment, from the offline table; None where nothing, or too old."""
    moment = naive_utc(at)
    with tempfile.TemporaryDirectory() as folder, connect(Path(folder)) as connection:
        files = PartFiles(ports.artifacts, Path(folder))
        lookup = stored_lookup(ports, files, view, (str(view.feature_time), *columns), since=moment, until=moment)
        dataset = ports.definitions.dataset(view.dataset)
        _create_base(connection, view, dataset, entities, moment)
        query = join_features(connection, 'SELECT * FROM "asked rows"', "asked at", [lookup])
        names = ", ".join(identifier(feature_column(view.name, name)) for name in lookup.columns)
        rows = connection.execute(f'SELECT {names} FROM ({query}) ORDER BY "asked number"').fetchall()
    return [
        None
        if row[0] is None
        else OnlineRow(entity, row[0].replace(tzinfo=UTC), dict(zip(columns, row[1:], strict=True)))
        for entity, row in zip(entities, rows, strict=True)
    ]


def stored_lookup(
    ports: Ports,
    files: PartFiles,
    view: FeatureView,
    columns: tuple[str, ...],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> StoredLookup:
    """Return what joins columns of a stored view's published table, having fetched what is needed of its parts.

    Parameters
    ----------
    since, until : datetime or None
        First and last moment of the rows, in UTC without a zone: parts that cannot matter to them stay where they are.

    Raises
    ------
    NotFoundError
        The view, as these definitions have it, has no published table.
    """
    version = ports.definitions.view_version(view.name)
    try:
        published = ports.catalog.view(view.name, version)
    except NotFoundError:
        raise NotFoundError(
            f"view {view.name} has no table of the version that these definitions make; upload a file to "
            f"{view.dataset}, or name the folder of definitions that is deployed"
        ) from None
    content = read_verified(ports.artifacts, published.manifest_key, published.manifest_sha256)
    manifest = ViewManifest.model_validate_json(content)
    first = None if since is None or view.ttl is None else since - view.ttl
    time = str(view.feature_time)
    wanted = Wanted(frozenset((*view.entity, time, *columns)), time, first, until)
    return StoredLookup(view, files.fetch(manifest.parts, wanted), columns, since=first, until=until)


def _bind(connection: duckdb.DuckDBPyConnection, definitions: Definitions, view: FeatureView) -> list[str]:
    """Make what a view reads without rows, and return the columns of its SELECT."""
    datasets, views = definitions.reads(view.name)
    for read in views:
        _bind(connection, definitions, read)
        connection.execute(f"CREATE OR REPLACE TABLE {identifier(read.name)} AS {read.sql}")
    for dataset in datasets:
        create_table(connection, DatasetTable(dataset, ()))
    return [name for name, *_ in connection.execute(f"DESCRIBE {view.sql}").fetchall()]


def _create_base(
    connection: duckdb.DuckDBPyConnection,
    view: FeatureView,
    dataset: Dataset,
    entities: Sequence[Entity],
    moment: datetime,
) -> None:
    """Make the table ``asked rows``: number, moment and entity of each key that is asked for."""
    columns = [f"{identifier(name)} {sql_type(dataset.columns[name])}" for name in view.entity]
    connection.execute(f'CREATE TABLE "asked rows" ("asked number" BIGINT, "asked at" TIMESTAMP, {", ".join(columns)})')
    places = ", ".join("?" * (2 + len(columns)))
    if entities:
        connection.executemany(
            f'INSERT INTO "asked rows" VALUES ({places})',
            [[number, moment, *entity] for number, entity in enumerate(entities)],
        )


def _typed(view: FeatureView, name: str, column: Column, value: object) -> object:
    try:
        return reader(column.model_copy(update={"allowed": None, "min": None, "max": None}))(_as_json(value))
    except ValueError as error:
        raise DataError(f"view {view.name}: {name} {error}", field=name) from None


def _as_json(value: object) -> object:
    """Return a key's value as a request would write it; a time of Python's says its zone, or is in UTC."""
    if hasattr(value, "item"):  # a number of numpy's
        value = value.item()
    if isinstance(value, datetime):
        return f"{naive_utc(value).isoformat()}Z"
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
