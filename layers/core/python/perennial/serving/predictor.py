"""From the rows of a request to predictions: request view, stored lookups, rows of features, scorer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perennial.errors import DefinitionError, IncompleteError, RequestError, TooLargeError
from perennial.serving.engine import Engine, ViewProgram
from perennial.serving.given import Given
from perennial.serving.logged import policy_of
from perennial.serving.payload import Columns, Place, Row, instance_place, read_columns
from perennial.serving.scorer_base import Scorer
from perennial.serving.served import Served
from perennial.serving.stored_values import ReadOnline, StoredValues
from perennial.utc import naive_utc

MAX_PROBABILITIES = 100_000
"""Most instances times classes in one call: Lambda answers with 6 MB at most."""
_NAN = math.nan


@dataclass(frozen=True)
class Features:
    """What a version made of the rows of a request before it predicted."""

    inputs: Columns
    rows: list[list[float]]
    """A list per row, in the manifest's order; of a categorical feature its place among the manifest's categories; NaN
    stands for a missing value."""


@dataclass(frozen=True)
class Predictions:
    """What a version made of a request."""

    inputs: Columns
    features: list[list[float]]
    """As in `Features`."""
    values: list[float]
    """A number per row: in the target's unit; of a binary model the probability of ``true``; of several classes the
    place of the likeliest one."""
    probabilities: list[list[float]] | None = None
    """Of several classes, a list per row in their order."""


class Predictor:
    """A version that is ready to answer requests.

    Parameters
    ----------
    served : Served
        The version's manifest.
    scorer : Scorer
        Predicts from rows of features.
    engine : Engine
        DuckDB, for what was not compiled; several predictors may share it, but not several threads.
    """

    def __init__(self, served: Served, scorer: Scorer, engine: Engine) -> None:
        self.served = served
        self.scorer = scorer
        self.log_policy = policy_of(served.content.get("log", {}), served.features)
        self._engine = engine
        self._place = {feature: number for number, feature in enumerate(served.features)}
        made = {f"{view.name}__{column}" for view in _views(served) for column in view.columns}
        if made != set(self._place):
            odd = ", ".join(sorted(made ^ set(self._place)))
            raise DefinitionError(f"manifest of {served.model} {served.version}: features and views differ by {odd}")
        self._program = _program(served, engine)
        view = served.request
        self._view_places = [self._place[f"{view.name}__{column}"] for column in view.columns] if view else []
        # Most often the view's columns come first and in order; then its rows are extended and not taken apart.
        self._in_order = self._view_places == list(range(len(self._view_places)))
        self._stored = StoredValues(served, self._place, engine)
        self._given = Given(served, engine)
        self._required = sorted((self._place[name], name) for name in served.required if name in self._place)

    def predict(
        self, rows: Sequence[Row], read_online: ReadOnline, now: datetime, place: Place = instance_place
    ) -> Predictions:
        """Check rows, compute and look up their features, and predict; errors as of the methods that do it."""
        require_few_probabilities(len(rows), self.served)
        return self.score(self.features(rows, read_online, now, place), place)

    def features(
        self, rows: Sequence[Row], read_online: ReadOnline, now: datetime, place: Place = instance_place
    ) -> Features:
        """Check rows, compute and look up their features.

        A stored value counts for a row under the rule of the training set's join: of those that were known at the
        row's time the latest, unless it is older than the view's ``ttl``. The row's time is its event time column
        if the request says it, else ``now``. The online store keeps an entity's two latest values: for a row that
        is older than both, the value is missing (offline, an earlier one may have been joined). A value of a stored
        view that the row brings itself, under the feature's name, comes before the store's.

        Parameters
        ----------
        rows : sequence of mappings
            Column name to JSON value.
        read_online : callable
            ``OnlineStore.read_many``; called once for all stored views, with distinct entities.
        now : datetime
            The moment of the request, with its time zone.
        place : callable
            Names the place of a value in what the caller sent.

        Raises
        ------
        RequestError
            A row breaks the contract of the inputs, or makes a feature infinite.
        IncompleteError
            A feature is missing without which the model does not predict.
        DefinitionError
            The request view does not run.
        """
        served, count = self.served, len(rows)
        given = self._given.read(rows, place)
        ignored = (*served.ignored, *given.names) if given else served.ignored
        spared = given.spared if given else None
        columns = read_columns(rows, served.inputs, ignored, self._engine.matches, place, spared)
        made = self._rows(columns, count, place)
        if served.stored:
            times = _event_times(columns, served, now, count)
            self._stored.fill(made, columns, times, read_online, given.whole if given else {})
            if given:
                given.fill(made, self._place)
        made = [[value + 0.0 for value in row] for row in made]  # -0.0 becomes 0.0, as in training sets
        _require_finite(made, served.features, place)
        if self._required:
            self._require_complete(made, place)
        return Features(columns, made)

    def score(self, made: Features, place: Place = instance_place) -> Predictions:
        """Predict from features.

        Raises
        ------
        RequestError
            A prediction is not finite.
        """
        scores: list[Any] = list(self.scorer.score(made.rows))
        if self.served.task == "multiclass":
            probabilities = [list(row) for row in scores]
            _require_finite_predictions(((n, value) for n, row in enumerate(probabilities) for value in row), place)
            places = [float(max(range(len(row)), key=row.__getitem__)) for row in probabilities]
            return Predictions(made.inputs, made.rows, places, probabilities)
        values: list[float] = scores
        _require_finite_predictions(enumerate(values), place)
        return Predictions(made.inputs, made.rows, values)

    def missing(self, features: Sequence[float]) -> list[str]:
        """Return the names of the features that a row has no value of, or none that the model has learnt."""
        return [name for name, value in zip(self.served.features, features, strict=True) if value != value]  # noqa: PLR0124 - NaN

    def rehearse(self) -> None:
        """Run the request view over one row of nulls, which shows that its SQL still fits; DefinitionError if not."""
        if self._program is not None:
            self._program.run_rows({name: [None] for name in self.served.inputs}, 1)

    def _rows(self, columns: Columns, count: int, place: Place) -> list[list[float]]:
        """Return rows of features with those of the request view; what else there is, is missing as yet."""
        width = len(self.served.features)
        if self._program is None:
            return [[_NAN] * width for _ in range(count)]
        try:
            found = self._program.run_rows(columns, count)
        except RequestError as error:
            raise _placed(error, place) from None
        if self._in_order:
            rest = [_NAN] * (width - len(self._view_places))
            return [[*row, *rest] for row in found]
        rows = [[_NAN] * width for _ in range(count)]
        for row, values in zip(rows, found, strict=True):
            for position, value in zip(self._view_places, values, strict=True):
                row[position] = value
        return rows

    def _require_complete(self, rows: Sequence[Sequence[float]], place: Place) -> None:
        for number, row in enumerate(rows):
            for position, name in self._required:
                if math.isnan(row[position]):
                    where = place(number, None)
                    raise IncompleteError(
                        f"{where} has no value of the feature {name}, without which {self.served.model} does not "
                        "predict; send what it is made of",
                        where,
                    )


def _program(served: Served, engine: Engine) -> ViewProgram | None:
    view = served.request
    if view is None:
        return None
    names = {column: f"{view.name}__{column}" for column in view.columns}
    categories = {column: served.categories[name] for column, name in names.items() if name in served.categories}
    if view.program is not None:
        from perennial.serving.compiled_view import CompiledView  # late: a version may have no request view

        return CompiledView(view.program, view.columns, categories)
    return engine.program(view, served.inputs, categories)


def _placed(error: RequestError, place: Place) -> RequestError:
    """Return the error of a row, which a program knows as ``instances[i]``, with the row's place in what was sent."""
    field = error.field or ""
    where = place(int(field.removeprefix("instances[").removesuffix("]")), None)
    return RequestError(str(error).replace(field, where, 1), where)


def _views(served: Served) -> list[Any]:
    return [*([served.request] if served.request else []), *served.stored]


def _event_times(columns: Columns, served: Served, now: datetime, count: int) -> list[datetime]:
    if served.event_time is not None and served.event_time in columns:
        said = columns[served.event_time]
        return [time if isinstance(time, datetime) else naive_utc(now) for time in said]
    return [naive_utc(now)] * count


def _require_finite(rows: Sequence[Sequence[float]], features: Sequence[str], place: Place) -> None:
    """Refuse infinite features: no training row had one, so a prediction from it would mean nothing."""
    for number, row in enumerate(rows):
        if math.inf in row or -math.inf in row:
            name = next(name for name, value in zip(features, row, strict=True) if math.isinf(value))
            where = place(number, None)
            raise RequestError(f"{where} makes the feature {name} infinite; look for a zero that divides", where)


def _require_finite_predictions(values: Iterable[tuple[int, float]], place: Place) -> None:
    """Refuse predictions (the number of a row and a value of it) that JSON cannot say and nobody could use."""
    for number, value in values:
        if not math.isfinite(value):
            where = place(number, None)
            raise RequestError(f"{where} is predicted to be {value}; it is too far from what was learnt", where)


def require_few_probabilities(rows: int, served: Served) -> None:
    """Raise TooLargeError if there would be more than ``MAX_PROBABILITIES``."""
    if served.task == "multiclass" and rows * len(served.classes) > MAX_PROBABILITIES:
        most = MAX_PROBABILITIES // len(served.classes)
        raise TooLargeError(
            f"instances has {rows:,} entries, but of {len(served.classes)} classes the probabilities of at most "
            f"{most:,} fit one answer; send several calls",
            "instances",
        )
