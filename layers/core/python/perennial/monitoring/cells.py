"""Cells of a baseline: which of its bins are compared with one another, and how values fall into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from perennial.manifest import Histogram
from perennial.monitoring.histograms import count_into, make_histogram

Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]
Kind = Literal["number", "category"]

BINS = 40
"""Quantile bins that are kept of a number: enough for a distance along the axis; they are compared in `GROUPS`."""
GROUPS = 10
"""Cells in which numbers are compared: more would need more rows to tell the same shift."""
CATEGORIES = 25
"""Categories that are compared one by one; the rest is one cell."""
UNSEEN = -1.0
"""The place of a category that no training row had (NaN is a missing value)."""
LEAST_EXPECTED = 5
"""Rows that a cell must be expected to hold on either side: below, chi-squared is no law for it (Cochran, 1954)."""


def describe(values: Values, kind: Kind, categories: int = 0) -> Histogram:
    """Describe a column in fine bins.

    Parameters
    ----------
    values : float64 array of shape (n,)
        NaN stands for a missing value; of a category its place, `UNSEEN` for one that is none of them.
    categories : int
        How many there are: each has a bin of its own.
    """
    if kind == "number":
        return make_histogram(values, BINS)
    edges = tuple(float(place) for place in range(categories + 1))  # nothing lies on the last
    return Histogram(edges=edges, counts=tuple(count_into(edges, values).tolist()))


def groups_of(histogram: Histogram, kind: Kind) -> tuple[int, ...]:
    """Return which cell of comparison each cell of a histogram belongs to.

    Neighbouring bins of a number share a cell, so that each of `GROUPS` holds about equally many rows; what is
    beyond the edges goes to the outermost. The `CATEGORIES` - 1 most frequent categories have a cell each.

    Returns
    -------
    tuple of int
        One for each entry of ``histogram.counts``; -1 where an entry is not compared (missing; an unseen category).
    """
    counts = np.asarray(histogram.counts, dtype=np.int64)
    inside = counts[1 : max(len(histogram.edges), 1)]
    if kind == "category":
        rank = np.empty(len(inside), dtype=np.int64)
        rank[np.argsort(-inside, kind="stable")] = np.arange(len(inside))
        return (-1, *np.minimum(rank, CATEGORIES - 1).tolist(), *[-1] * (len(counts) - 1 - len(inside)))
    if len(inside) == 0:
        return (0, *[-1] * (len(counts) - 1))
    middle = np.cumsum(inside) - inside / 2
    wanted = np.minimum(GROUPS * middle // max(inside.sum(), 1), GROUPS - 1)
    place = np.unique(wanted, return_inverse=True)[1].ravel()
    return (int(place[0]), *place.tolist(), int(place[-1]), -1)


def grouped(counts: Integers, groups: Sequence[int]) -> Integers:
    """Sum counts, shape (…, cells), into the cells of comparison, shape (…, number of groups)."""
    wanted = np.asarray(groups, dtype=np.int64)
    found = np.zeros((*counts.shape[:-1], int(wanted.max(initial=-1)) + 1), dtype=np.int64)
    for group in range(found.shape[-1]):
        found[..., group] = counts[..., wanted == group].sum(axis=-1)
    return found


def cells_of(edges: Sequence[float], values: Values) -> Integers:
    """Return the cell of each value, int64 of shape (n,), laid out as `perennial.manifest.Histogram` says."""
    missing = np.isnan(values)
    found = np.searchsorted(np.asarray(edges, dtype=np.float64), values, side="right")
    if len(edges) > 1:
        found[values == edges[-1]] = len(edges) - 1  # the last bin is closed on the right
    found[missing] = len(edges) + 1
    return found.astype(np.int64, copy=False)


def comparable(expected: Integers, actual: Integers) -> tuple[Integers, Integers]:
    """Merge the rarest cells of two counts until each is expected to hold enough rows on either side.

    Which cells are merged depends on their sums alone, so where nothing has moved it tells nothing of a difference.

    Returns
    -------
    two int64 arrays of the same shape
        Of at most one cell where either side is nearly empty.
    """
    both = expected + actual
    smaller = min(int(expected.sum()), int(actual.sum()))
    if smaller == 0:
        return expected[:0], actual[:0]
    order = np.argsort(-both, kind="stable")
    order = order[both[order] > 0]
    share = both[order] / both.sum() * smaller
    enough = int(np.count_nonzero(share >= LEAST_EXPECTED))
    if 0 < share[enough:].sum() < LEAST_EXPECTED:
        enough -= 1  # what is rare goes to the least frequent of the others
    place = np.minimum(np.arange(len(order)), max(enough, 0))
    size = int(place.max(initial=-1)) + 1
    e, a = (np.bincount(place, counts[order], minlength=size).astype(np.int64) for counts in (expected, actual))
    return e, a
