"""Training sets: a model's rows with their features and target, split by event time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import duckdb

from perennial.data.engine import DEFAULTS, Resources, connect, one, write_query
from perennial.data.point_in_time import StoredLookup, join_features
from perennial.data.views.columns_read import columns_named, columns_read
from perennial.data.views.request_sql import passing_through
from perennial.data.views.view_sql import dataset_rows, moment
from perennial.definitions import Dataset, FeatureView, Model
from perennial.definitions.files import Definitions
from perennial.errors import DataError, DefinitionError
from perennial.manifest import feature_column
from perennial.sql import identifier

# No dataset can have columns of these names, as they are not printable.
_AT, _ENTITY, _TARGET_NAME = "\x01event_time", "\x01entity ", "\x01target"
_TARGET = identifier(_TARGET_NAME)


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
    rows_train: int
    rows_holdout: int
    rows_without_target: int
    """Rows of the period that passed the filter, but whose target is null or not finite; they are in neither part."""


def feature_columns(model: Model) -> tuple[str, ...]:
    """Return the names of a model's feature columns, in the order in which its definition lists them."""
    return tuple(feature_column(view, column) for view, columns in model.features.items() for column in columns)


def columns_judged(model: Model, dataset: Dataset) -> frozenset[str]:
    """Return the columns that tell whether a row counts: its event time and what filter and target name."""
    sql = f"SELECT ({model.filter}\n), ({model.target}\n) FROM {identifier(dataset.name)}"
    return frozenset((dataset.event_time, *columns_named(sql, f"models/{model.name}.toml", dataset.columns)))


def columns_needed(model: Model, definitions: Definitions) -> frozenset[str]:
    """Return the dataset's columns that a training set reads: those judged, the entities, what request views read."""
    dataset = definitions.dataset(model.dataset)
    views = [definitions.view(name) for name in model.features]
    read = [columns_read(view, dataset.columns) for view in views if view.kind == "request"]
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
    with connect(folder, resources, parts) as connection, _faults_of(f"models/{model.name}.toml: filter or target"):
        rows = _rows(connection, model, dataset, parts)
        (latest,) = one(
            connection, f"SELECT max({identifier(dataset.event_time)}) FROM ({rows}) WHERE {_TARGET} IS NOT NULL"
        )
    return cast(datetime | None, latest)


def period_of(model: Model, latest: datetime) -> Period:
    """Return the stretch of time that a model learns from and is judged on, given its last row with a target."""
    split_at = latest - model.split.holdout
    histories = [candidate.history for candidate in model.candidates]
    longest = None if None in histories else max(history for history in histories if history is not None)
    return Period(None if longest is None else split_at - longest, split_at, latest)


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
        Parquet to write: ``event_time`` (TIMESTAMP), each feature (DOUBLE; null where unknown, too old or
        NaN), ``target`` (DOUBLE), ordered by all columns.
    resources : Resources
        What DuckDB may use.

    Raises
    ------
    DataError
        Train or holdout would be empty.
    DefinitionError
        The filter, the target or the request view fails on the rows.
    """
    reads = [*parts, *(path for paths in stored.values() for path in paths), holdout]
    with connect(train.parent, resources, reads) as connection:
        maker = _Maker(connection, model, definitions, parts, stored)
        without = maker.without_target(period.since)
        rows_train = maker.write(period.since, period.split_at, train)
        rows_holdout = maker.write(period.split_at, None, holdout)
    if not (rows_train and rows_holdout):
        which, length = "in" if rows_train else "before", model.split.holdout / timedelta(days=1)
        raise DataError(
            f"model {model.name}: there are no rows {which} the last {length:g} days that are held out; upload older "
            f"rows or shorten split.holdout in models/{model.name}.toml"
        )
    return TrainingParts(feature_columns(model), rows_train, rows_holdout, without)


@dataclass(frozen=True)
class _Maker:
    """Makes the SELECTs of one training set, and runs them."""

    connection: duckdb.DuckDBPyConnection
    model: Model
    definitions: Definitions
    parts: Sequence[Path]
    stored: Mapping[str, Sequence[Path]]

    def without_target(self, since: datetime | None) -> int:
        """Count the rows from a moment on that pass the filter and have no target."""
        with _faults_of(f"models/{self.model.name}.toml: filter or target"):
            rows = f"({self._rows(since, None)}) WHERE {_TARGET} IS NULL"
            return cast(int, one(self.connection, f"SELECT count(*) FROM {rows}")[0])

    def write(self, since: datetime | None, before: datetime | None, path: Path) -> int:
        """Write the rows of a stretch of event time with their features, ordered by all columns; return how many."""
        views = [self.definitions.view(name) for name in self.model.features]
        request = next((view for view in views if view.kind == "request"), None)
        stored = [view for view in views if view.kind == "stored"]
        # Filter and target went well on these very rows just before: what fails now is the request view.
        with _faults_of(f"features/{request.name}.sql" if request else f"models/{self.model.name}.toml"):
            base = self._base(request, stored, since, before)
            lookups = [self._lookup(view, since, before) for view in stored]
            joined = join_features(self.connection, base, _AT, lookups)
            features = ", ".join(
                f"{_double(identifier(name))} AS {identifier(name)}" for name in feature_columns(self.model)
            )
            query = f"SELECT {identifier(_AT)} AS event_time, {features}, {_TARGET} AS target FROM ({joined})"
            return write_query(self.connection, f"{query} ORDER BY ALL", path)

    def _rows(self, since: datetime | None, before: datetime | None) -> str:
        dataset = self.definitions.dataset(self.model.dataset)
        return _rows(self.connection, self.model, dataset, self.parts, since, before)

    def _base(
        self,
        request: FeatureView | None,
        stored: Sequence[FeatureView],
        since: datetime | None,
        before: datetime | None,
    ) -> str:
        """Return the SELECT of rows that count: event time, target, entities, and the request view's features."""
        time = self.definitions.dataset(self.model.dataset).event_time
        entities = dict.fromkeys(column for view in stored for column in view.entity)
        passed = {_AT: time, **{_ENTITY + column: column for column in entities}}
        renamed = ", ".join(f"{identifier(column)} AS {identifier(name)}" for name, column in passed.items())
        rows = f"({self._rows(since, before)}) WHERE {_TARGET} IS NOT NULL"
        if request is None:
            return f"SELECT {renamed}, {_TARGET} FROM {rows}"
        features = ", ".join(
            f"{identifier(column)} AS {identifier(feature_column(request.name, column))}"
            for column in self.model.features[request.name]
        )
        names = ", ".join(map(identifier, passed))
        return (
            f"WITH {identifier(request.dataset)} AS NOT MATERIALIZED (SELECT *, {renamed} FROM {rows}) "
            f"SELECT {names}, {_TARGET}, {features} FROM ({passing_through(request, (*passed, _TARGET_NAME))})"
        )

    def _lookup(self, view: FeatureView, since: datetime | None, before: datetime | None) -> StoredLookup:
        oldest = None if since is None or view.ttl is None else since - view.ttl
        entity = tuple(_ENTITY + column for column in view.entity)
        columns = self.model.features[view.name]
        return StoredLookup(view, self.stored[view.name], columns, entity, since=oldest, until=before)


def _rows(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    dataset: Dataset,
    parts: Sequence[Path],
    since: datetime | None = None,
    before: datetime | None = None,
) -> str:
    """Return the SELECT of a dataset's rows that pass a model's filter, with the target (null unless finite)."""
    target = f"CAST(({model.target}\n) AS DOUBLE)"
    time = identifier(dataset.event_time)
    conditions = [f"{time} {sign} {moment(at)}" for sign, at in ((">=", since), ("<", before)) if at is not None]
    conditions.append(f"({model.filter}\n)")
    return (
        f"SELECT *, CASE WHEN isfinite({target}) THEN {target} END AS {_TARGET} "
        f"FROM ({dataset_rows(connection, dataset, parts)}) AS {identifier(dataset.name)} "
        f"WHERE {' AND '.join(conditions)}"
    )


@contextmanager
def _faults_of(place: str) -> Iterator[None]:
    """Say of SQL that fails on the rows whose definition it is."""
    try:
        yield
    except (duckdb.BinderException, duckdb.ConversionException, duckdb.OutOfRangeException) as error:
        raise DefinitionError(f"{place}: {str(error).splitlines()[0]}") from error


def _double(expression: str) -> str:
    """Return a feature as a double; NaN is null. Infinity stays, and training refuses it with its own sentence.

    Adding nothing makes 0.0 of -0.0, as serving does: which of the two it was is lost in sorting.
    """
    number = f"CAST({expression} AS DOUBLE)"
    return f"CASE WHEN NOT isnan({number}) THEN {number} + 0.0::DOUBLE END"
