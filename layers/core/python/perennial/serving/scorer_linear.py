"""Scoring with a weighted sum of prepared features.

Numbers and booleans are filled where missing, centred and scaled, and have a weight. A category has a weight for each
of its values; a missing or unknown one adds nothing. A raw sum begins with 0, takes the columns in that order, and the
intercept last.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import isnan
from typing import TYPE_CHECKING, Any

from perennial.serving.scorer_base import FlatScorer, Form, unreadable

if TYPE_CHECKING:
    from perennial.serving.scorer_base import Matrix

_TYPES = {
    "places": "i", "fill": "d", "mean": "d", "scale": "d", "centre": "d", "weights": "d",
    "category_places": "i", "categories": "i", "category_weights": "d", "shares": "d", "intercept": "d",
}  # fmt: skip


class LinearScorer(FlatScorer):
    """A weighted sum.

    Parameters
    ----------
    header, arrays
        Of the flat file. For each number or boolean its place among the features, ``fill``, ``mean`` and ``scale``, its
        mean over the training rows once it is prepared (``centre``), and for each raw sum its ``weights``. For each
        categorical feature its place, the number of its categories, for each raw sum and category
        ``category_weights``, and the ``shares`` of the training rows that the categories had. For each raw sum its
        ``intercept``.
    """

    def __init__(self, header: Mapping[str, Any], arrays: Mapping[str, array[Any]]) -> None:
        self.form = Form.read(header)
        self._check(arrays)
        self.steps = len(arrays["places"]) + len(arrays["categories"])
        self._prepare = list(zip(*(arrays[name].tolist() for name in ("places", "fill", "mean", "scale")), strict=True))
        self._centre: list[float] = arrays["centre"].tolist()
        self._weights = _rows(arrays["weights"], self.form.raws)
        firsts = accumulate(arrays["categories"].tolist(), initial=0)
        # Not strict: the last of the firsts is behind the last category.
        self._categories = list(
            zip(arrays["category_places"].tolist(), arrays["categories"].tolist(), firsts, strict=False)
        )
        self._category_weights = _rows(arrays["category_weights"], self.form.raws)
        self._shares: list[float] = arrays["shares"].tolist()
        self._intercept: list[float] = arrays["intercept"].tolist()

    def raw(self, row: Sequence[float]) -> list[float]:
        """Return the raw sums of a row."""
        prepared, known = self._prepared(row), self._known(row)
        totals = []
        for number, intercept in enumerate(self._intercept):
            total = 0.0
            for value, weight in zip(prepared, self._weights[number], strict=True):
                total += value * weight
            weights = self._category_weights[number]
            for place in known:
                if place is not None:
                    total += weights[place]
            totals.append(total + intercept)
        return totals

    def raw_matrix(self, matrix: Matrix) -> Matrix:
        """Return the raw sums of rows, a column after the other: a product of matrices adds in an order of its own."""
        import numpy as np

        raw = np.zeros((len(self._intercept), len(matrix)))
        for column, (place, fill, mean, scale) in enumerate(self._prepare):
            values = matrix[:, place]
            values = (np.where(np.isnan(values), fill, values) - mean) / scale
            for number, weights in enumerate(self._weights):
                raw[number] += values * weights[column]
        for place, count, first in self._categories:
            values = matrix[:, place]
            known = (values >= 0) & (values < count) & (values == np.floor(values))
            chosen = first + np.where(known, values, 0).astype(np.intp)
            for number, weights in enumerate(self._category_weights):
                raw[number] += np.where(known, np.array(weights)[chosen], 0.0)
        raw += np.array(self._intercept)[:, None]
        return raw.T

    def explained(self, row: Sequence[float]) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
        """Return each feature's weight times how far it is from its mean over the training rows.

        These are its Shapley values if features are independent of one another.
        """
        base, values = [], []
        prepared, known = self._prepared(row), self._known(row)
        for number, intercept in enumerate(self._intercept):
            weights, category_weights = self._weights[number], self._category_weights[number]
            expected, added = intercept, [0.0] * self.form.features
            for (place, *_), value, centre, weight in zip(self._prepare, prepared, self._centre, weights, strict=True):
                expected += weight * centre
                added[place] = weight * (value - centre)
            for (place, count, first), chosen in zip(self._categories, known, strict=True):
                usual = sum(category_weights[each] * self._shares[each] for each in range(first, first + count))
                expected += usual
                added[place] = (0.0 if chosen is None else category_weights[chosen]) - usual
            base.append(expected)
            values.append(tuple(added))
        return tuple(base), tuple(values)

    def _prepared(self, row: Sequence[float]) -> list[float]:
        prepared = []
        for place, fill, mean, scale in self._prepare:
            value = row[place]
            prepared.append(((fill if isnan(value) else value) - mean) / scale)
        return prepared

    def _known(self, row: Sequence[float]) -> list[int | None]:
        """Return the place of each category's weight; None of one that is missing or unknown."""
        return [
            first + int(row[place]) if 0 <= row[place] < count and row[place] == int(row[place]) else None
            for place, count, first in self._categories
        ]

    def _check(self, arrays: Mapping[str, array[Any]]) -> None:
        """Raise DataError for a file that lacks a number, or names a feature that there is not."""
        if {name: values.typecode for name, values in arrays.items()} != _TYPES:
            raise unreadable(f"its arrays are {', '.join(arrays) or 'none'}, but should be {', '.join(_TYPES)}")
        raws, numbers, counts = self.form.raws, len(arrays["places"]), arrays["categories"]
        found = {name: len(values) for name, values in arrays.items()}
        expected = {
            **dict.fromkeys(("places", "fill", "mean", "scale", "centre"), numbers),
            "weights": raws * numbers,
            "category_places": len(counts),
            "categories": len(counts),
            "category_weights": raws * sum(counts),
            "shares": sum(counts),
            "intercept": raws,
        }
        if found != expected or min(counts, default=1) < 1:
            raise unreadable("it has too few or too many numbers")
        for place in (*arrays["places"], *arrays["category_places"]):
            if not 0 <= place < self.form.features:
                raise unreadable("it weighs a feature that there is not")
        if 0.0 in arrays["scale"]:
            raise unreadable("a feature is divided by 0")


def _rows(values: array[Any], raws: int) -> list[list[float]]:
    """Cut weights into one list for each raw sum."""
    length = len(values) // raws
    return [values[number * length : (number + 1) * length].tolist() for number in range(raws)]
