"""Training sets: every row with what was known at its event time, and nothing that became known later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import duckdb

from perennial.data.engine import DEFAULTS, Resources, connect, identifier, literal, one, write_table
from perennial.data.views import dataset_rows
from perennial.definition_files import Definitions
from perennial.definitions import Dataset, FeatureView, Model
from perennial.errors import DataError, DefinitionError
from perennial.manifest import feature_column


@dataclass(frozen=True)
class SnapshotFiles:
    """One snapshot's Parquet files."""

    rows: Path
    """The typed rows."""
    request: Path | None = None
    """The request view over them, row for row; None when the model reads no request view."""


@dataclass(frozen=True)
class TrainingParts:
    """What making a training set gave."""

    features: tuple[str, ...]
    """Feature columns in order, each ``view__column``."""
    split_at: datetime
    """Event time from which rows are held out; without time zone, as in the data."""
    rows_train: int
    rows_holdout: int
    rows_without_target: int
    """Rows that passed the filter, but whose target is null or not finite; they are in neither part."""


def feature_columns(model: Model) -> tuple[str, ...]:
    """Return the names of a model's feature columns, in the order in which its definition lists them."""
    return tuple(feature_column(view, column) for view, columns in model.features.items() for column in columns)


def write_training_set(
    model: Model,
    definitions: Definitions,
    snapshots: Sequence[SnapshotFiles],
    stored: Mapping[str, Path],
    train: Path,
    holdout: Path,
    *,
    resources: Resources = DEFAULTS,
) -> TrainingParts:
    """Join features to rows point-in-time and split by event time.

    Parameters
    ----------
    model : Model
        What to learn: its filter, target and features.
    definitions : Definitions
        Where its dataset and views stand.
    snapshots : sequence of SnapshotFiles
        The live snapshots.
    stored : mapping of str to Path
        Offline table of each stored view that the model reads.
    train, holdout : Path
        Parquet to write: ``event_time`` (TIMESTAMP), each feature (DOUBLE; null where unknown, too old or
        NaN), ``target`` (DOUBLE), ordered by all columns.
    resources : Resources
        What DuckDB may use.

    Raises
    ------
    DataError
        Train or holdout would be empty, or a request view's table does not fit its snapshot.
    DefinitionError
        The filter or the target fails on the rows.
    """
    reads = [file for snapshot in snapshots for file in (snapshot.rows, snapshot.request) if file is not None]
    dataset = definitions.dataset(model.dataset)
    views = {name: definitions.view(name) for name in model.features}
    if not snapshots:
        raise DataError(f"model {model.name}: dataset {dataset.name} has no snapshot; upload a file first")
    with connect(train.parent, resources, [*reads, *stored.values(), holdout]) as connection:
        try:
            _collect(connection, model, dataset, views, snapshots)
        except (duckdb.BinderException, duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            message = str(error).splitlines()[0]
            raise DefinitionError(f"models/{model.name}.toml: filter or target: {message}") from error
        without = _count(connection, "collected WHERE target IS NULL")
        _join(connection, model, views, stored)
        split_at = _split_at(connection, model)
        parts = [
            _write_part(connection, condition, split_at, path) for condition, path in (("<", train), (">=", holdout))
        ]
    if 0 in parts:
        which = "before" if parts[0] == 0 else "in"
        raise DataError(
            f"model {model.name}: there are no rows {which} the last {model.split.holdout.days:g} days that are held "
            f"out; upload older rows or shorten split.holdout in models/{model.name}.toml"
        )
    return TrainingParts(feature_columns(model), split_at, parts[0], parts[1], without)


def _collect(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    dataset: Dataset,
    views: Mapping[str, FeatureView],
    snapshots: Sequence[SnapshotFiles],
) -> None:
    """Make the table ``collected``: filtered rows of all snapshots with entities, request features and target."""
    request = next((name for name, view in views.items() if view.kind == "request"), None)
    entities = dict.fromkeys(column for view in views.values() for column in view.entity)
    target = f"CAST(({model.target}\n) AS DOUBLE)"
    columns = [
        f"{identifier(dataset.event_time)} AS event_time",
        *(f"{identifier(column)} AS {_entity(column)}" for column in entities),
        f"CASE WHEN isfinite({target}) THEN {target} END AS target",
        f"({model.filter}\n) IS TRUE AS keep",
    ]
    for number, snapshot in enumerate(snapshots):
        table = f"({dataset_rows(connection, dataset, [snapshot.rows])}) AS {identifier(dataset.name)}"
        rows = f"SELECT {', '.join(columns)} FROM {table}"
        source = f"({rows})"
        if request is not None:
            features = _request_features(connection, model, request, snapshot)
            source = f"({rows}) POSITIONAL JOIN ({features})"
        # The filter stands outside the join, or the rows would no longer meet their own features.
        query = f"SELECT * EXCLUDE (keep) FROM (SELECT * FROM {source}) WHERE keep"
        connection.execute(f"INSERT INTO collected {query}" if number else f"CREATE TABLE collected AS {query}")


def _request_features(
    connection: duckdb.DuckDBPyConnection, model: Model, request: str, snapshot: SnapshotFiles
) -> str:
    if snapshot.request is None:
        raise DataError(f"view {request} has no table for a snapshot of {model.dataset}; run features again")
    rows, features = (f"read_parquet({literal(str(path))})" for path in (snapshot.rows, snapshot.request))
    counts = [_count(connection, source) for source in (rows, features)]
    if counts[0] != counts[1]:
        raise DataError(
            f"view {request} has {counts[1]} rows for a snapshot of {counts[0]}; delete its table and repeat the run"
        )
    columns = ", ".join(
        f"{_double(identifier(column))} AS {identifier(feature_column(request, column))}"
        for column in model.features[request]
    )
    return f"SELECT {columns} FROM {features}"


def _join(
    connection: duckdb.DuckDBPyConnection, model: Model, views: Mapping[str, FeatureView], stored: Mapping[str, Path]
) -> None:
    """Make the table ``joined``: event time, the features in the model's order, target."""
    joins = []
    expressions = {}
    for number, (name, view) in enumerate(views.items()):
        if view.kind == "request":
            made = [feature_column(name, column) for column in model.features[name]]
            expressions.update({column: f"c.{identifier(column)}" for column in made})
            continue
        if name not in stored:
            raise DataError(f"view {name} has no table yet; run features first")
        time = identifier(str(view.feature_time))
        on = [f"c.{_entity(column)} = v{number}.{identifier(column)}" for column in view.entity]
        on.append(f"c.event_time >= v{number}.{time}")
        joins.append(f"ASOF LEFT JOIN read_parquet({literal(str(stored[name]))}) AS v{number} ON {' AND '.join(on)}")
        fresh = "true"
        if view.ttl is not None:
            fresh = (
                f"epoch_us(c.event_time) - epoch_us(v{number}.{time}) <= {int(view.ttl.total_seconds()) * 1_000_000}"
            )
        for column in model.features[name]:
            value = _double(f"v{number}.{identifier(column)}")
            expressions[feature_column(name, column)] = f"CASE WHEN {fresh} THEN {value} END"
    selected = ", ".join(f"{expressions[column]} AS {identifier(column)}" for column in feature_columns(model))
    connection.execute(
        f"CREATE TABLE joined AS SELECT c.event_time AS event_time, {selected}, c.target AS target "
        f"FROM (SELECT * FROM collected WHERE target IS NOT NULL) AS c {' '.join(joins)}"
    )


def _split_at(connection: duckdb.DuckDBPyConnection, model: Model) -> datetime:
    (latest,) = one(connection, "SELECT max(event_time) FROM joined")
    if latest is None:
        raise DataError(
            f"model {model.name}: no row passes the filter and has a target; check filter and target in "
            f"models/{model.name}.toml"
        )
    return cast(datetime, latest) - model.split.holdout


def _write_part(connection: duckdb.DuckDBPyConnection, condition: str, split_at: datetime, path: Path) -> int:
    moment = f"TIMESTAMP {literal(split_at.isoformat(sep=' '))}"
    connection.execute(
        f"CREATE OR REPLACE TABLE part AS SELECT * FROM joined WHERE event_time {condition} {moment} ORDER BY ALL"
    )
    return write_table(connection, "part", path)


def _double(expression: str) -> str:
    """Return a feature as a double; NaN is null. Infinity stays, and training refuses it with its own sentence."""
    number = f"CAST({expression} AS DOUBLE)"
    return f"CASE WHEN NOT isnan({number}) THEN {number} END"


def _entity(column: str) -> str:
    return identifier(f"entity {column}")


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    return cast(int, one(connection, f"SELECT count(*) FROM {source}")[0])
