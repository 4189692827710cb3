"""Values of stored views that a request brings itself, under the names of the features: they precede the store's."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from perennial.errors import RequestError
from perennial.serving.engine import Engine
from perennial.serving.moments import shown
from perennial.serving.payload import Place, Row
from perennial.serving.served import Served

_NAN = math.nan


@dataclass(frozen=True)
class GivenValues:
    """What the rows of a request bring."""

    names: frozenset[str]
    """The features that a row may bring."""
    values: Sequence[Mapping[str, float]]
    """For each row, feature to value as the model reads it."""
    whole: Mapping[str, frozenset[int]]
    """Stored view to the numbers of the rows that bring all its features."""
    spared: Sequence[Collection[str]]
    """For each row, the input columns that nothing needs: entity columns of views that it brings all features of."""

    def fill(self, rows: Sequence[list[float]], position: Mapping[str, int]) -> None:
        """Write the values over those of the rows of features."""
        for row, values in zip(rows, self.values, strict=True):
            for name, value in values.items():
                row[position[name]] = value


class Given:
    """Reads what the rows of a request bring of a version's stored views.

    Parameters
    ----------
    served : Served
        The version.
    engine : Engine
        Knows the texts of numbers that are categories.
    """

    def __init__(self, served: Served, engine: Engine) -> None:
        self._views = {view.name: frozenset(f"{view.name}__{c}" for c in view.columns) for view in served.stored}
        self._entity = {view.name: frozenset(view.entity) for view in served.stored}
        # A dataset may have a column of such a name; then the name means the column, as it always did.
        columns = {*served.inputs, *served.ignored}
        self._names = frozenset().union(*self._views.values()) - columns
        self._places = {
            name: {category: float(number) for number, category in enumerate(served.categories[name])}
            for name in self._names
            if name in served.categories
        }
        self._engine = engine
        self._sparable = frozenset().union(*self._entity.values()).difference(_read_by_request_view(served))

    def read(self, rows: Sequence[Row], place: Place) -> GivenValues | None:
        """Return what the rows bring; None if, as most often, that is nothing.

        Raises
        ------
        RequestError
            A value is not of the feature's kind.
        """
        if not self._names or all(self._names.isdisjoint(row) for row in rows):
            return None
        values = [
            {name: self._value(name, row[name], place(number, name)) for name in self._names.intersection(row)}
            for number, row in enumerate(rows)
        ]
        whole = {
            view: frozenset(number for number, row in enumerate(values) if names <= row.keys())
            for view, names in self._views.items()
        }
        spared = [
            self._sparable.difference(*(self._entity[view] for view, numbers in whole.items() if number not in numbers))
            for number in range(len(rows))
        ]
        return GivenValues(self._names, values, whole, spared)

    def _value(self, name: str, value: object, place: str) -> float:
        if value is None:
            return _NAN
        places = self._places.get(name)
        if places is not None:
            if not isinstance(value, str | bool | int | float):
                raise RequestError(f"{place} must be a text, a number, true or false, not {shown(value)}", place)
            text = value if isinstance(value, str) else self._engine.category_texts([value])[0]
            return _NAN if text is None else places.get(text, _NAN)
        if not isinstance(value, bool | int | float):
            raise RequestError(f"{place} must be a number, not {shown(value)}", place)
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isinf(number):
            raise RequestError(f"{place} is beyond what a double holds", place)
        return number


def _read_by_request_view(served: Served) -> Collection[str]:
    if served.request is None:
        return ()
    # Of a version that was registered before it was kept what the view reads, any column may be read.
    return served.inputs if served.request.reads is None else served.request.reads
