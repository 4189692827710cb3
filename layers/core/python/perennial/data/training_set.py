"""Training sets: a model's rows with their features and target, split by event time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import duckdb

from perennial.data.counted_rows import SLICE, TARGET, counted_rows, faults_of
from perennial.data.engine import DEFAULTS, Resources, connect, one, write_query
from perennial.data.feature_types import categorical_features
from perennial.data.point_in_time import StoredLookup, join_features
from perennial.data.training_values import categories_of, classes_of, require_small
from perennial.data.views.columns_read import columns_named, columns_read
from perennial.data.views.request_sql import passing_through
from perennial.definitions import Dataset, FeatureView, Model
from perennial.definitions.files import Definitions
from perennial.errors import DataError
from perennial.manifest import feature_column
from perennial.sql import category, identifier, literal

# No dataset can have columns of these names, as they are not printable.
_AT, _ENTITY = "\x01event_time", "\x01entity "
_TARGET = identifier(TARGET)


@dataclass(frozen=True)
class Period:
    """The stretch of event time of a training set; without time zone, as in the data."""

    since: datetime | None
    """Event time of the first rows that any candidate learns from; None means from the beginning."""
    split_at: datetime
    """Event time from which rows are held out."""
    latest: datetime
    """Event time of the last row with a target."""


@dataclass(frozen=True)
class TrainingParts:
    """What making a training set gave."""

    features: tuple[str, ...]
    """Feature columns in order, each ``view__column``."""
    categories: dict[str, tuple[str, ...]]
    """Categorical feature column to its most frequent values in the train part, in order."""
    classes: tuple[str, ...]
    """What is told apart: see `perennial.records.TrainingSet`."""
    rows_train: int
    rows_holdout: int
    rows_without_target: int
    """Rows of the period that passed the filter, but whose target is null, not finite, or a class that no row of the
    train part has; they are in neither part."""


def feature_columns(model: Model) -> tuple[str, ...]:
    """Return the names of a model's feature columns, in the order in which its definition lists them."""
    return tuple(feature_column(view, column) for view, columns in model.features.items() for column in columns)


def columns_judged(model: Model, dataset: Dataset) -> frozenset[str]:
    """Return the columns that tell whether a row counts: its event time and what filter and target name."""
    sql = f"SELECT ({model.filter}\n), ({model.target}\n) FROM {identifier(dataset.name)}"
    return frozenset((dataset.event_time, *columns_named(sql, f"models/{model.name}.toml", dataset.columns)))


def columns_needed(model: Model, definitions: Definitions) -> frozenset[str]:
    """Return the dataset's columns that a training set reads.

    They are those judged, the entities, and what the request views and the slices name.
    """
    dataset = definitions.dataset(model.dataset)
    views = [definitions.view(name) for name in model.features]
    read = [columns_read(view, dataset.columns) for view in views if view.kind == "request"]
    for name, expression in model.slices.items():
        sql = f"SELECT ({expression}\n) FROM {identifier(dataset.name)}"
        read.append(columns_named(sql, f"models/{model.name}.toml: slices.{name}", dataset.columns))
    return columns_judged(model, dataset).union(*read, *(view.entity for view in views))


def latest_event(
    model: Model, dataset: Dataset, parts: Sequence[Path], folder: Path, *, resources: Resources = DEFAULTS
) -> datetime | None:
    """Return the latest event time of the rows that pass a model's filter and have a target; None without such rows.

    Parameters
    ----------
    model : Model
        Its filter and target.
    dataset : Dataset
        The contract.
    parts : sequence of Path
        Parquet of the dataset's rows, with at least the `columns_judged`.
    folder : Path
        Where DuckDB may spill.
    resources : Resources
        What DuckDB may use.

    Raises
    ------
    DefinitionError
        The filter or the target fails on the rows.
    """
    if not parts:
        return None
    with connect(folder, resources, parts) as connection, faults_of(f"models/{model.name}.toml: filter or target"):
        rows = counted_rows(connection, model, dataset, parts)
        (latest,) = one(
            connection, f"SELECT max({identifier(dataset.event_time)}) FROM ({rows}) WHERE {_TARGET} IS NOT NULL"
        )
    return cast(datetime | None, latest)


def period_of(model: Model, latest: datetime) -> Period:
    """Return the stretch of time that a model learns from and is judged on, given its last row with a target."""
    split_at = latest - model.split.holdout
    return Period(None if model.reach is None else split_at - model.reach, split_at, latest)


def write_training_set(
    model: Model,
    definitions: Definitions,
    parts: Sequence[Path],
    stored: Mapping[str, Sequence[Path]],
    period: Period,
    train: Path,
    holdout: Path,
    *,
    resources: Resources = DEFAULTS,
) -> TrainingParts:
    """Join features to rows point-in-time (`join_features`) and split by event time.

    Rows stream from the parts through the join into a sort that spills, and from there into the files: no table is
    made, and the same rows make the same bytes, whatever the parts they come in and the number of threads.

    Parameters
    ----------
    model : Model
        What to learn: its filter, target and features.
    definitions : Definitions
        Where its dataset and views stand.
    parts : sequence of Path
        Parquet of the dataset's rows, with at least the `columns_needed`; rows outside the period are left out.
    stored : mapping of str to sequence of Path
        Parts of each stored view that the model reads.
    period : Period
        From `period_of`.
    train, holdout : Path
        Parquet to write: ``event_time`` (TIMESTAMP), each feature (DOUBLE, or VARCHAR of a categorical one; null
        where unknown, too old or NaN), ``target`` (DOUBLE, 0 or 1 of a condition; VARCHAR of classes), and, in the
        holdout, ``slice:<name>`` (VARCHAR) for each slice, ordered by all columns.
    resources : Resources
        What DuckDB may use.

    Raises
    ------
    DataError
        Train or holdout would be empty; there are not two classes, or far too many; the categories are too long.
    DefinitionError
        The filter, the target, a slice or the request view fails on the rows.
    """
    categorical = categorical_features(model, definitions)
    reads = [*parts, *(path for paths in stored.values() for path in paths), holdout]
    with connect(train.parent, resources, reads) as connection:
        maker = _Maker(connection, model, definitions, parts, stored, categorical)
        without = maker.without_target(period.since)
        rows_train = maker.write(period.since, period.split_at, train)
        categories = {name: categories_of(connection, train, name) for name in categorical}
        classes = classes_of(connection, train, model) if rows_train else ()
        require_small(model, categories, classes)
        rows_holdout = maker.write(period.split_at, None, holdout, classes, slices=True)
        without += maker.of_other_classes(period.split_at, classes)
    if not (rows_train and rows_holdout):
        which, length = "in" if rows_train else "before", model.split.holdout / timedelta(days=1)
        raise DataError(
            f"model {model.name}: there are no rows {which} the last {length:g} days that are held out; upload older "
            f"rows or shorten split.holdout in models/{model.name}.toml"
        )
    return TrainingParts(feature_columns(model), categories, classes, rows_train, rows_holdout, without)


@dataclass(frozen=True)
class _Maker:
    """Makes the SELECTs of one training set, and runs them."""

    connection: duckdb.DuckDBPyConnection
    model: Model
    definitions: Definitions
    parts: Sequence[Path]
    stored: Mapping[str, Sequence[Path]]
    categorical: Sequence[str]

    def without_target(self, since: datetime | None) -> int:
        """Count the rows from a moment on that pass the filter and have no target."""
        with faults_of(f"models/{self.model.name}.toml: filter or target"):
            rows = f"({self._rows(since, None)}) WHERE {_TARGET} IS NULL"
            return cast(int, one(self.connection, f"SELECT count(*) FROM {rows}")[0])

    def of_other_classes(self, since: datetime, classes: Sequence[str]) -> int:
        """Count the rows from a moment on whose class is none of the task ``multiclass``'s classes."""
        if self.model.task != "multiclass":
            return 0
        rows = f"({self._rows(since, None)}) WHERE {_TARGET} IS NOT NULL AND NOT {_among(classes)}"
        return cast(int, one(self.connection, f"SELECT count(*) FROM {rows}")[0])

    def write(
        self,
        since: datetime | None,
        before: datetime | None,
        path: Path,
        classes: Sequence[str] = (),
        *,
        slices: bool = False,
    ) -> int:
        """Write the rows of a stretch of event time with their features, ordered by all columns; return how many."""
        views = [self.definitions.view(name) for name in self.model.features]
        request = next((view for view in views if view.kind == "request"), None)
        stored = [view for view in views if view.kind == "stored"]
        sliced = tuple(self.model.slices) if slices else ()
        self._try_slices(sliced, since, before)
        # Filter, target and slices went well on these very rows just before: what fails now is the request view.
        with faults_of(f"features/{request.name}.sql" if request else f"models/{self.model.name}.toml"):
            base = self._base(request, stored, since, before, sliced)
            lookups = [self._lookup(view, since, before) for view in stored]
            joined = join_features(self.connection, base, _AT, lookups)
            chosen = [f"{self._value(name)} AS {identifier(name)}" for name in feature_columns(self.model)]
            chosen.append(f"{_TARGET} AS target")
            chosen += [f"{identifier(SLICE + name)} AS {identifier(f'slice:{name}')}" for name in sliced]
            query = f"SELECT {identifier(_AT)} AS event_time, {', '.join(chosen)} FROM ({joined})"
            if classes and self.model.task == "multiclass":
                query += f" WHERE {_among(classes)}"
            return write_query(self.connection, f"{query} ORDER BY ALL", path)

    def _try_slices(self, names: Sequence[str], since: datetime | None, before: datetime | None) -> None:
        for name in names:
            rows = self._rows(since, before, (name,))
            with faults_of(f"models/{self.model.name}.toml: slices.{name}"):
                one(self.connection, f"SELECT count({identifier(SLICE + name)}) FROM ({rows})")

    def _value(self, feature: str) -> str:
        column = identifier(feature)
        return category(column) if feature in self.categorical else double(column)

    def _rows(self, since: datetime | None, before: datetime | None, slices: Sequence[str] = ()) -> str:
        dataset = self.definitions.dataset(self.model.dataset)
        return counted_rows(self.connection, self.model, dataset, self.parts, since, before, slices)

    def _base(
        self,
        request: FeatureView | None,
        stored: Sequence[FeatureView],
        since: datetime | None,
        before: datetime | None,
        slices: Sequence[str],
    ) -> str:
        """Return the SELECT of rows that count: event time, target, entities, slices, the request view's features."""
        time = self.definitions.dataset(self.model.dataset).event_time
        entities = dict.fromkeys(column for view in stored for column in view.entity)
        passed = {_AT: time, **{_ENTITY + column: column for column in entities}}
        renamed = ", ".join(f"{identifier(column)} AS {identifier(name)}" for name, column in passed.items())
        kept = (TARGET, *(SLICE + name for name in slices))
        others = ", ".join(map(identifier, kept))
        rows = f"({self._rows(since, before, slices)}) WHERE {_TARGET} IS NOT NULL"
        if request is None:
            return f"SELECT {renamed}, {others} FROM {rows}"
        features = ", ".join(
            f"{identifier(column)} AS {identifier(feature_column(request.name, column))}"
            for column in self.model.features[request.name]
        )
        names = ", ".join(map(identifier, passed))
        return (
            f"WITH {identifier(request.dataset)} AS NOT MATERIALIZED (SELECT *, {renamed} FROM {rows}) "
            f"SELECT {names}, {others}, {features} FROM ({passing_through(request, (*passed, *kept))})"
        )

    def _lookup(self, view: FeatureView, since: datetime | None, before: datetime | None) -> StoredLookup:
        oldest = None if since is None or view.ttl is None else since - view.ttl
        entity = tuple(_ENTITY + column for column in view.entity)
        columns = self.model.features[view.name]
        return StoredLookup(view, self.stored[view.name], columns, entity, since=oldest, until=before)


def _among(classes: Sequence[str]) -> str:
    return f"{_TARGET} IN ({', '.join(map(literal, classes))})"


def double(expression: str) -> str:
    """Return a feature as a double; NaN is null. Infinity stays, and training refuses it with its own sentence.

    Adding nothing makes 0.0 of -0.0, as serving does: which of the two it was is lost in sorting.
    """
    number = f"CAST({expression} AS DOUBLE)"
    return f"CASE WHEN NOT isnan({number}) THEN {number} + 0.0::DOUBLE END"
