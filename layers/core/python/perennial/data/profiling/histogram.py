"""Histograms on grids that nest, so that those of two snapshots can be compared without their rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from perennial.drift import population_stability_index
from perennial.records import Record

Sorted = npt.NDArray[Any]
"""Numbers in rising order."""

BINS = 40
"""Most bins of a histogram; at least half as many for numbers whose middle is not cut short by their range."""
CELLS = 10
"""About how many cells the population stability index is taken over."""
_DAY = 86_400
_FAR = 1e300
"""No edge lies beyond, so that none becomes infinite."""
SECONDS = (1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, *(_DAY * 2**power for power in range(24)))
"""Widths of bins of moments, each a multiple of the one before."""


class Histogram(Record):
    """Counts of values between edges that are multiples of the bins' width.

    Widths of numbers are powers of two, of moments one of `SECONDS`: of two widths the wider is a multiple of the
    other, and each of its edges is an edge of the other's grid.
    """

    edges: tuple[float, ...]
    """At least two, evenly spaced; moments in seconds since 1970 in UTC."""
    counts: tuple[int, ...]
    """Values from an edge to below the next."""
    below: int
    """Values below the first edge."""
    above: int
    """Values from the last edge on."""

    @property
    def total(self) -> int:
        """How many values were counted."""
        return self.below + sum(self.counts) + self.above

    @property
    def width(self) -> float:
        """Width of a bin."""
        return self.edges[1] - self.edges[0]


def make_histogram(values: Sorted, *, moments: bool = False) -> Histogram:
    """Count values into bins that show their middle; far outliers are counted below and above.

    The bins reach from the first to the last percentile and a quarter of that range beyond, if there are values.

    Parameters
    ----------
    values : array of shape (n,)
        Finite, in rising order, n > 0; moments in seconds.
    moments : bool
        Whether they are moments.
    """
    low, high = _middle(values)
    width = _width(low, high, moments=moments, whole=values.dtype.kind == "i")
    first = math.floor(low / width)
    last = max(math.floor(high / width) + 1, first + 1)
    edges = np.arange(first, last + 1, dtype=np.float64) * width
    places = np.searchsorted(values, edges, side="left")
    return Histogram(
        edges=tuple(edges.tolist()),
        counts=tuple(np.diff(places).tolist()),
        below=int(places[0]),
        above=int(len(values) - places[-1]),
    )


def stability(before: Histogram, after: Histogram) -> tuple[float, int]:
    """Return the population stability index of two histograms and the number of cells that it was taken over.

    Both are first put on the wider of the two grids, over the range that both have bins for: exactly, as grids
    nest. Neighbouring bins are then joined to cells that each hold a tenth of the values, so that few of
    them are empty, and chance has few of them to play with.
    """
    e, a = _on_one_grid(before, after)
    cells = _joined(e, a)
    expected = [sum(e[start:end]) for start, end in cells]
    actual = [sum(a[start:end]) for start, end in cells]
    return population_stability_index(expected, actual), len(cells)


def _middle(values: Sorted) -> tuple[float, float]:
    count = len(values)
    ends = [float(values[round(share * (count - 1))]) for share in (0.01, 0.99)]
    if ends[0] == ends[1]:  # nearly all values are one: what is beside it is all that there is to show
        ends = [float(values[0]), float(values[-1])]
    margin = ends[1] / 4 - ends[0] / 4
    low, high = max(ends[0] - margin, float(values[0])), min(ends[1] + margin, float(values[-1]))
    return max(min(low, _FAR), -_FAR), max(min(high, _FAR), -_FAR)


def _width(low: float, high: float, *, moments: bool, whole: bool) -> float:
    least = high / BINS - low / BINS
    if moments:
        return float(next((width for width in SECONDS if width >= least), SECONDS[-1]))
    if whole:
        least = max(least, 1.0)
    # Far from zero neighbouring numbers lie apart; a grid must not be finer than they.
    least = max(least, math.ulp(max(abs(low), abs(high))))
    mantissa, exponent = math.frexp(least)
    return math.ldexp(1.0, exponent - (mantissa == 0.5))


def _on_one_grid(before: Histogram, after: Histogram) -> tuple[list[int], list[int]]:
    width = max(before.width, after.width)
    first = math.ceil(max(before.edges[0], after.edges[0]) / width)
    last = math.floor(min(before.edges[-1], after.edges[-1]) / width)
    if last < first:  # no value of one lies among those of the other: two cells, split between them
        lower_is_before = before.edges[-1] <= after.edges[-1]
        lower, upper = (before, after) if lower_is_before else (after, before)
        split = [lower.total - lower.above, lower.above], [upper.below, upper.total - upper.below]
        return split if lower_is_before else (split[1], split[0])
    return _regrouped(before, width, first, last), _regrouped(after, width, first, last)


def _regrouped(histogram: Histogram, width: float, first: int, last: int) -> list[int]:
    """Count into: below the grid's edge ``first``, its bins up to edge ``last``, and above."""
    cells = [0] * (last - first + 2)
    cells[0], cells[-1] = histogram.below, histogram.above
    for edge, count in zip(histogram.edges, histogram.counts, strict=False):
        cells[min(max(math.floor(edge / width) - first + 1, 0), len(cells) - 1)] += count
    return cells


def _joined(before: Sequence[int], after: Sequence[int]) -> list[tuple[int, int]]:
    """Return where cells begin and end, each but the last with a tenth of both taken together, at equal weight."""
    e, a = sum(before), sum(after)
    cells, start, held = [], 0, 0
    for end, (expected, actual) in enumerate(zip(before, after, strict=True), start=1):
        held += expected * a + actual * e
        if held * CELLS >= 2 * e * a:
            cells.append((start, end))
            start, held = end, 0
    if start < len(before):
        cells.append((start, len(before)))
    return cells
