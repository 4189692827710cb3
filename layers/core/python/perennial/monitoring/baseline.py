"""The baseline of a version (``baseline.json`` beside ``model.onnx``): what its rows and predictions looked like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from perennial.manifest import Histogram
from perennial.monitoring.cells import Kind, cells_of, describe, grouped, groups_of
from perennial.monitoring.design_effects import (
    DesignEffect,
    Effects,
    block_counts,
    effect_of_counts,
    effect_of_squares,
    lengths,
    measured,
)
from perennial.monitoring.distances import Axis
from perennial.monitoring.estimate import Estimator
from perennial.monitoring.reconstruction import Reconstruction, fit_reconstruction, reconstruction_errors
from perennial.records import Record

Values = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_MOST_ROWS = 2_000_000
"""Rows that design effects are measured on, the latest ones."""
_STRETCHES = 40
"""Stretches of the training rows: principal components are fitted on every other one, and their errors counted on the
rest, for on their own rows they are smaller than they will ever be again."""


class ColumnBaseline(Record):
    """How one column was distributed, and how much windows of it differed."""

    kind: Kind
    histogram: Histogram
    groups: tuple[int, ...]
    """The cell of comparison that each cell of the histogram belongs to; -1 for none."""
    distribution_effects: Effects = ()
    """Of the shares of the cells of comparison."""
    shift_effects: Effects = ()
    """Of the Wasserstein distance; a category has none."""
    missing_effects: Effects = ()
    """Of the share of missing values."""

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return sum(self.histogram.counts)


class Baseline(Record):
    """All that monitoring compares windows with."""

    format: int = 1
    features: tuple[str, ...]
    """In the order of the model's input."""
    columns: dict[str, ColumnBaseline]
    """Feature to its distribution over the training rows."""
    prediction: ColumnBaseline
    """The predictions on the held-out rows; of several classes the place of the likeliest."""
    reconstruction: Reconstruction | None = None
    """What tells rows whose features go together as they did; None below two features."""
    reconstruction_error: ColumnBaseline | None = None
    """Its errors over those training rows that it was not fitted to."""
    estimator: Estimator | None = None
    """What estimates quality before labels come; None where the held-out rows were too few for one."""


def make_baseline(
    features: Matrix,
    names: Sequence[str],
    categories: Mapping[str, int],
    predictions: Values,
    *,
    classes: int = 0,
    estimator: Estimator | None = None,
    ordered: bool = True,
) -> Baseline:
    """Describe the rows that a model learnt from, and its predictions on later ones.

    Parameters
    ----------
    features : float64 array of shape (n, number of features)
        By rising event time. NaN stands for a missing value; categories are places.
    names : sequence of str
        The features, in order.
    categories : mapping
        Categorical feature to the number of its categories; all others are numbers.
    predictions : float64 array of shape (m,)
        On rows that the model did not learn from, by rising event time: numbers, probabilities or places of classes.
    classes : int
        How many classes the predictions are places of; 0 if they are numbers.
    ordered : bool
        Whether neighbouring rows are neighbours in time, so that dependence can be measured.
    """
    columns = {
        name: column_baseline(features[:, place], categories.get(name, 0), ordered=ordered)
        for place, name in enumerate(names)
    }
    stretch = np.arange(len(features)) * _STRETCHES // max(len(features), 1)
    fitting = stretch % 2 == 0
    histograms = [columns[name].histogram for name in names]
    reconstruction = fit_reconstruction(features[fitting], histograms, categories, names)
    errors = None
    if reconstruction is not None:
        errors = column_baseline(reconstruction_errors(reconstruction, features[~fitting]), 0, ordered=ordered)
    return Baseline(
        features=tuple(names),
        columns=columns,
        prediction=column_baseline(predictions, classes, ordered=ordered),
        reconstruction=reconstruction,
        reconstruction_error=errors,
        estimator=estimator,
    )


def column_baseline(values: Values, categories: int = 0, *, ordered: bool = True) -> ColumnBaseline:
    """Describe one column, shape (n,); of ``categories`` places, or of numbers where that is 0."""
    kind: Kind = "category" if categories else "number"
    histogram = describe(values, kind, categories)
    groups = groups_of(histogram, kind)
    if not ordered:
        return ColumnBaseline(kind=kind, histogram=histogram, groups=groups)
    cells = cells_of(histogram.edges, values[-_MOST_ROWS:])
    distribution: list[DesignEffect | None] = []
    shift: list[DesignEffect | None] = []
    missing: list[DesignEffect | None] = []
    axis = Axis(histogram) if kind == "number" else None
    for length in lengths(len(cells)):
        counts = block_counts(cells, len(histogram.counts), length)
        distribution.append(effect_of_counts(grouped(counts, groups)))
        missing.append(effect_of_counts(np.stack([counts[:, -1], counts[:, :-1].sum(axis=1)], axis=1)))
        if axis is not None and axis.told:
            shift.append(_shift_effect(axis, counts, length))
    return ColumnBaseline(
        kind=kind,
        histogram=histogram,
        groups=groups,
        distribution_effects=measured(distribution),
        shift_effects=measured(shift),
        missing_effects=measured(missing),
    )


def _shift_effect(axis: Axis, counts: Integers, length: int) -> DesignEffect | None:
    """Measure what the squares of blocks' Wasserstein distances are above those of independent rows."""
    present = counts[:, :-1].sum(axis=1)
    held = present > 0
    squares = axis.distance(counts[held]) ** 2 * present[held]
    return effect_of_squares(squares, axis.mean_square, axis.spread**2, length)
