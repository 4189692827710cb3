"""From the rows of a request to predictions: request view, stored lookups, matrix, model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.errors import DefinitionError, RequestError
from perennial.manifest import Manifest, StoredView, feature_column
from perennial.ports import Lookup, OnlineRow
from perennial.serving.artifact import Artifact
from perennial.serving.payload import Columns, Row, read_columns
from perennial.serving.request_view import RequestRunner, matches
from perennial.utc import naive_utc

Matrix = npt.NDArray[np.float64]
ReadOnline = Callable[[Sequence[Lookup]], Sequence[Mapping[tuple[Any, ...], OnlineRow]]]
"""``OnlineStore.read_many``: lookups → for each, the rows that exist."""


@dataclass(frozen=True)
class Predictions:
    """What a version made of a request."""

    inputs: Columns
    features: Matrix
    """Of shape (n, len(manifest.features)); NaN stands for a missing value."""
    values: npt.NDArray[np.float64]
    """Of shape (n,), in the target's unit."""


class Predictor:
    """A version that is ready to answer requests.

    Parameters
    ----------
    artifact : Artifact
        The version, checked.
    connection : duckdb.DuckDBPyConnection
        Where the request view runs; several predictors may share it, but not several threads.
    """

    def __init__(self, artifact: Artifact, connection: duckdb.DuckDBPyConnection) -> None:
        self.artifact = artifact
        manifest = artifact.manifest
        self._runner = RequestRunner(manifest.request, manifest.inputs, connection) if manifest.request else None
        self._matches = partial(matches, connection)
        self._place = {feature: number for number, feature in enumerate(manifest.features)}
        made = {feature_column(view.name, column) for view in _views(manifest) for column in view.columns}
        if made != set(self._place):
            odd = ", ".join(sorted(made ^ set(self._place)))
            raise DefinitionError(
                f"manifest of {manifest.model} {manifest.version}: features and views differ by {odd}"
            )

    def predict(self, rows: Sequence[Row], read_online: ReadOnline, now: datetime) -> Predictions:
        """Check rows, compute and look up their features, and predict.

        A stored value counts for a row under the rule of the training set's join: of those that were known at the
        row's time the latest, unless it is older than the view's ``ttl``. The row's time is its event time column
        if the request says it, else ``now``. The online store keeps an entity's two latest values: for a row that
        is older than both, the value is missing (offline, an earlier one may have been joined).

        Parameters
        ----------
        rows : sequence of mappings
            Column name to JSON value.
        read_online : callable
            ``OnlineStore.read_many``; called once for all stored views, with distinct entities.
        now : datetime
            The moment of the request, with its time zone.

        Raises
        ------
        RequestError
            A row breaks the contract of the inputs, or a feature or the prediction of it is not finite.
        DefinitionError
            The request view does not run.
        """
        manifest = self.artifact.manifest
        columns = read_columns(rows, manifest.inputs, manifest.ignored, self._matches)
        matrix = np.full((len(rows), len(manifest.features)), np.nan)
        if manifest.request is not None and self._runner is not None:
            names = [feature_column(manifest.request.name, column) for column in manifest.request.columns]
            matrix[:, [self._place[name] for name in names]] = self._runner.run(columns)
        if manifest.stored:
            self._look_up(columns, _event_times(columns, manifest, now, len(rows)), read_online, matrix)
        matrix += 0.0  # -0.0 becomes 0.0, as in training sets
        _require_finite(matrix, manifest.features)
        values = self.artifact.predict(matrix)
        _require_finite_predictions(values)
        return Predictions(columns, matrix, values)

    def rehearse(self) -> None:
        """Run the request view over one row of nulls, which shows that its SQL still fits; DefinitionError if not."""
        if self._runner is not None:
            self._runner.run({name: [None] for name in self.artifact.manifest.inputs})

    def _look_up(self, columns: Columns, times: list[datetime], read_online: ReadOnline, matrix: Matrix) -> None:
        """Fill the stored views' columns of the matrix; all views are read together."""
        views = self.artifact.manifest.stored
        entities = [list(zip(*(columns[name] for name in view.entity), strict=True)) for view in views]
        lookups = [
            Lookup(view.name, view.version, list(dict.fromkeys(each)), view.columns, min(times, default=None))
            for view, each in zip(views, entities, strict=True)
        ]
        for view, each, found in zip(views, entities, read_online(lookups), strict=True):
            self._fill(view, each, times, found, matrix)

    def _fill(
        self,
        view: StoredView,
        entities: Sequence[tuple[Any, ...]],
        times: Sequence[datetime],
        found: Mapping[tuple[Any, ...], OnlineRow],
        matrix: Matrix,
    ) -> None:
        ttl = None if view.ttl_seconds is None else timedelta(seconds=view.ttl_seconds)
        known = {
            entity: [_known(each, view.columns) for each in (row, row.previous) if each is not None]
            for entity, row in found.items()
        }
        places = [self._place[feature_column(view.name, column)] for column in view.columns]
        for number, (entity, time) in enumerate(zip(entities, times, strict=True)):
            for feature_time, values in known.get(entity, ()):
                if feature_time <= time:
                    if ttl is None or time - feature_time <= ttl:
                        matrix[number, places] = values
                    break  # an older value never takes the place of one that is too old


def _views(manifest: Manifest) -> list[Any]:
    return [*([manifest.request] if manifest.request else []), *manifest.stored]


def _event_times(columns: Columns, manifest: Manifest, now: datetime, count: int) -> list[datetime]:
    if manifest.event_time is not None and manifest.event_time in columns:
        said = columns[manifest.event_time]
        return [time if isinstance(time, datetime) else naive_utc(now) for time in said]
    return [naive_utc(now)] * count


def _known(row: OnlineRow, columns: Sequence[str]) -> tuple[datetime, list[float]]:
    return naive_utc(row.feature_time), [_number(row.values.get(column)) for column in columns]


def _number(value: float | str | bool | None) -> float:
    return float("nan") if value is None else float(value)


def _require_finite(matrix: Matrix, features: Sequence[str]) -> None:
    """Refuse infinite features: no training row had one, so a prediction from it would mean nothing."""
    if np.isinf(matrix).any():
        row, column = np.argwhere(np.isinf(matrix))[0]
        place = f"instances[{row}]"
        raise RequestError(
            f"{place} makes the feature {features[column]} infinite; look for a zero that divides", place
        )


def _require_finite_predictions(values: Matrix) -> None:
    """Refuse predictions that JSON cannot say and nobody could use."""
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        place = f"instances[{bad[0]}]"
        raise RequestError(f"{place} is predicted to be {values[bad[0]]}; it is too far from what was learnt", place)
