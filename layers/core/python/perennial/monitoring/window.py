"""Windows of served rows, as counts: of one size whatever their rows, made in parts and added up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from perennial.monitoring.baseline import Baseline, ColumnBaseline
from perennial.monitoring.cells import cells_of
from perennial.monitoring.reconstruction import reconstruction_errors

Values = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

PREDICTION = "prediction"
"""What the counts of the predictions are told by; features have a view's name before theirs."""
RECONSTRUCTION = "reconstruction"
_STEP = 65_536
"""Rows that are counted at once: their columns stay in the processor's cache."""


@dataclass(frozen=True)
class Window:
    """How many rows fell into each cell of each column."""

    rows: int
    counts: dict[str, Integers]
    """Feature, `PREDICTION` and `RECONSTRUCTION` to counts laid out as their baseline's histogram."""

    def __add__(self, other: Window) -> Window:
        """Return both together; a column that one of them lacks is counted as far as it is there."""
        counts = self.counts | other.counts
        for name in self.counts.keys() & other.counts.keys():
            counts[name] = self.counts[name] + other.counts[name]
        return Window(self.rows + other.rows, counts)


def count(baseline: Baseline, features: Matrix, predictions: Values | None = None) -> Window:
    """Count rows into a baseline's cells; memory beyond the input does not grow with them.

    Parameters
    ----------
    features : float64 array of shape (n, number of features)
        In the baseline's order. NaN stands for a missing value; categories are places,
        `perennial.monitoring.cells.UNSEEN` for one that no training row had.
    predictions : float64 array of shape (n,), optional
        Numbers, probabilities of true, or places of the likeliest class.
    """
    columns = [baseline.columns[name] for name in baseline.features]
    counts = {name: _nothing(column) for name, column in zip(baseline.features, columns, strict=True)}
    errors = baseline.reconstruction_error
    if errors is not None:
        counts[RECONSTRUCTION] = _nothing(errors)
    if predictions is not None:
        counts[PREDICTION] = count_column(baseline.prediction, predictions)
    for start in range(0, len(features), _STEP):
        rows = features[start : start + _STEP]
        for place, name in enumerate(baseline.features):
            counts[name] += count_column(columns[place], rows[:, place])
        if errors is not None and baseline.reconstruction is not None:
            counts[RECONSTRUCTION] += count_column(errors, reconstruction_errors(baseline.reconstruction, rows))
    return Window(len(features), counts)


def count_column(column: ColumnBaseline, values: Values) -> Integers:
    """Count values, shape (n,), into the cells of a column's histogram."""
    cells = cells_of(column.histogram.edges, values)
    return np.bincount(cells, minlength=len(column.histogram.counts)).astype(np.int64)


def _nothing(column: ColumnBaseline) -> Integers:
    return np.zeros(len(column.histogram.counts), dtype=np.int64)
