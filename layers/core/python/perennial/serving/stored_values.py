"""Values of stored views for the rows of a request: those that a training row of the same moment would have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from perennial.online_rows import Lookup, OnlineRow
from perennial.serving.engine import Engine
from perennial.serving.payload import Columns
from perennial.serving.served import Served, ServedStoredView
from perennial.utc import naive_utc

ReadOnline = Callable[[Sequence[Lookup]], Sequence[Mapping[tuple[Any, ...], OnlineRow]]]
"""``OnlineStore.read_many``: lookups → for each, the rows that exist."""
_NAN = float("nan")


class StoredValues:
    """The stored views of a version.

    Parameters
    ----------
    served : Served
        The version.
    place : mapping
        Feature column to its place in a row.
    engine : Engine
        Knows the texts of doubles that are categories.
    """

    def __init__(self, served: Served, place: Mapping[str, int], engine: Engine) -> None:
        self._views = served.stored
        self._engine = engine
        self._categories = {
            name: {category: float(number) for number, category in enumerate(categories)}
            for name, categories in served.categories.items()
        }
        self._columns = {
            view.name: [(column, name, place[name]) for column, name in _feature_columns(view)] for view in self._views
        }
        self._ttl = {
            view.name: None if view.ttl_seconds is None else timedelta(seconds=view.ttl_seconds) for view in self._views
        }

    def fill(
        self,
        features: list[list[float]],
        columns: Columns,
        times: Sequence[datetime],
        read_online: ReadOnline,
        given: Mapping[str, Collection[int]],
    ) -> None:
        """Write the values into the rows of features; all views are read together.

        Parameters
        ----------
        features : list of lists
            A list per row; what is not found stays as it is.
        columns : dict
            The request's columns; the entities are among them.
        times : sequence of datetime
            The moment of each row, in UTC without a zone.
        given : mapping
            View to the numbers of those rows that bring all its values themselves.
        """
        asked: list[tuple[ServedStoredView, list[int], list[tuple[Any, ...]]]] = []
        for view in self._views:
            entities = list(zip(*(columns[name] for name in view.entity), strict=True))
            skipped = given.get(view.name, ())
            rows = [row for row in range(len(features)) if row not in skipped] if skipped else range(len(features))
            if rows:
                asked.append((view, list(rows), entities))
        if not asked:
            return
        since = min(times, default=None)
        lookups = [
            Lookup(view.name, view.version, list(dict.fromkeys(entities[row] for row in rows)), view.columns, since)
            for view, rows, entities in asked
        ]
        for (view, rows, entities), found in zip(asked, read_online(lookups), strict=True):
            if found:
                self._fill(view, rows, entities, times, found, features)

    def _fill(
        self,
        view: ServedStoredView,
        rows: Sequence[int],
        entities: Sequence[tuple[Any, ...]],
        times: Sequence[datetime],
        found: Mapping[tuple[Any, ...], OnlineRow],
        features: list[list[float]],
    ) -> None:
        columns, ttl = self._columns[view.name], self._ttl[view.name]
        pairs = [(entity, each) for entity, row in found.items() for each in (row, row.previous) if each is not None]
        read = [self._numbers(name, [row.values.get(column) for _, row in pairs]) for column, name, _ in columns]
        known: dict[tuple[Any, ...], list[tuple[datetime, tuple[float, ...]]]] = {}
        for (entity, row), values in zip(pairs, zip(*read, strict=True), strict=True):
            known.setdefault(entity, []).append((naive_utc(row.feature_time), values))
        for number in rows:
            time = times[number]
            for feature_time, values in known.get(entities[number], ()):
                if feature_time <= time:
                    if ttl is None or time - feature_time <= ttl:
                        row_features = features[number]
                        for (_, _, place), value in zip(columns, values, strict=True):
                            row_features[place] = value
                    break  # an older value never takes the place of one that is too old

    def _numbers(self, feature: str, values: Sequence[float | str | bool | None]) -> list[float]:
        """Return online values as a model reads them."""
        places = self._categories.get(feature)
        if places is None:
            return [_NAN if value is None else float(value) for value in values]
        texts = self._engine.category_texts(values)
        return [_NAN if text is None else places.get(text, _NAN) for text in texts]


def _feature_columns(view: ServedStoredView) -> list[tuple[str, str]]:
    return [(column, f"{view.name}__{column}") for column in view.columns]
