"""Histograms: how a column was distributed when the model learnt it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perennial.manifest import Histogram

Values = npt.NDArray[np.float64]
CATEGORY_BINS = 25
"""Most categories that have a bin of their own."""


def make_histogram(values: Values, bins: int = 10) -> Histogram:
    """Describe a column by the counts between its quantiles.

    With no more than ``bins`` distinct values, each value has a bin of its own. The same holds for a largest
    value so frequent that it fills a whole quantile bin: where the last bin would merge it with smaller ones, one
    more edge just above it keeps them apart.

    Parameters
    ----------
    values : float64 array of shape (n,)
        NaN stands for a missing value.
    bins : int
        Most bins between the smallest and the largest value (one more in the case above).

    Returns
    -------
    Histogram
        Without edges when no value is present.
    """
    present = values[np.isfinite(values)]
    distinct = np.unique(present)
    if len(distinct) <= bins:
        edges = distinct.tolist()
        crowded = bool(edges)
    else:
        # Quantiles that are values of the column: interpolation would put an edge a rounding error beside a value.
        quantiles = np.quantile(present, np.arange(bins + 1) / bins, method="inverted_cdf")
        edges = np.unique(quantiles).tolist()
        crowded = quantiles[-1] == quantiles[-2]
    if crowded:
        edges.append(math.nextafter(edges[-1], math.inf))
    return Histogram(edges=tuple(edges), counts=tuple(count_into(edges, values).tolist()))


def make_category_histogram(places: Values, categories: int) -> Histogram:
    """Describe a categorical column: a bin for each category, or, of more than `CATEGORY_BINS`, `make_histogram`.

    Neighbours share a bin where there are many, for the population stability index grows with the number of cells even
    when nothing has moved (`perennial.drift`).

    Parameters
    ----------
    places : float64 array of shape (n,)
        Each value's place among the categories; NaN stands for a missing value and for one that is none of them.
    categories : int
        How many there are.
    """
    if not 0 < categories <= CATEGORY_BINS:
        return make_histogram(places, CATEGORY_BINS)
    edges = tuple(float(place) for place in range(categories + 1))  # nothing lies on the last
    return Histogram(edges=edges, counts=tuple(count_into(edges, places).tolist()))


def one_number_each(predictions: Values) -> Values:
    """Return one number for each prediction, shape (n,): of several classes (n, classes) the place of the likeliest."""
    return predictions if predictions.ndim == 1 else np.argmax(predictions, axis=1).astype(np.float64)


def count_into(edges: Sequence[float], values: Values) -> npt.NDArray[np.int64]:
    """Count values into a histogram's cells.

    Parameters
    ----------
    edges : sequence of float
        In rising order.
    values : float64 array of shape (n,)
        NaN stands for a missing value.

    Returns
    -------
    int64 array of shape (len(edges) + 2,)
        Laid out as :class:`perennial.manifest.Histogram` says: below, the bins, above, missing.
    """
    missing = np.isnan(values)
    present = values[~missing]
    cells = np.searchsorted(np.asarray(edges, dtype=np.float64), present, side="right")
    if len(edges) > 1:
        cells[present == edges[-1]] = len(edges) - 1  # the last bin is closed on the right
    counts = np.bincount(cells, minlength=len(edges) + 2)
    counts[-1] = missing.sum()
    return counts.astype(np.int64)


def quantile(histogram: Histogram, level: float) -> float:
    """Return the value below which a share of a histogram's present values lies, linear within a bin.

    Parameters
    ----------
    level : float
        Between 0 and 1.

    Returns
    -------
    float
        NaN when no value lies between the edges.
    """
    inside = np.asarray(histogram.counts[1 : max(len(histogram.edges), 1)], dtype=np.float64)
    if inside.sum() == 0:
        return math.nan
    shares = np.concatenate(([0.0], np.cumsum(inside) / inside.sum()))
    return float(np.interp(level, shares, histogram.edges))
