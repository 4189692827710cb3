"""Whether features still go together as they did: the error of rebuilding rows from their principal components.

Each feature by itself may look as ever while their combinations are new. Rows are standardised and projected onto the
components that hold `EXPLAINED` of the training rows' variance; what the projection loses is the row's error (as
NannyML's data reconstruction does; J. E. Jackson and G. S. Mudholkar, *Control procedures for residuals associated
with principal component analysis*, 1979). The errors are a number like any other, with a histogram and design
effects of its own, so the same tests judge it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from perennial.manifest import Histogram
from perennial.records import Record

EXPLAINED = 0.65
_STEP = 65_536
_ENDS = 4.0
"""Standard deviations beyond which a value counts as being there: an outlier is the range signal's affair."""

Matrix = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64]


class Reconstruction(Record):
    """How rows are standardised, and the components that are kept."""

    shares: tuple[tuple[float, ...] | None, ...]
    """For each feature, if it is categorical, the share of each category's rows, by which a value is told."""
    means: tuple[float, ...]
    scales: tuple[float, ...]
    """Standard deviations; 0 of a feature that does not vary, which is left out."""
    components: tuple[tuple[float, ...], ...]
    """Rows of unit length, orthogonal to one another."""


def fit_reconstruction(
    features: Matrix, histograms: Sequence[Histogram], categories: Mapping[str, int], names: Sequence[str]
) -> Reconstruction | None:
    """Find the components of rows of shape (n, number of features); None if fewer than two features vary."""
    shares = tuple(
        _shares(histogram) if categories.get(name) else None for histogram, name in zip(histograms, names, strict=True)
    )
    ends = np.array(
        [_ends(histogram) if told is None else (0.0, 1.0) for histogram, told in zip(histograms, shares, strict=True)]
    ).reshape(-1, 2)
    count, total, products = np.zeros(len(names)), np.zeros(len(names)), np.zeros((len(names), len(names)))
    for start in range(0, len(features), _STEP):
        numbers = _numbers(features[start : start + _STEP], shares)
        clipped = np.clip(numbers, ends[:, 0], ends[:, 1])
        count += np.isfinite(clipped).sum(axis=0)
        total += np.nan_to_num(clipped).sum(axis=0)
    means = total / np.maximum(count, 1)
    for start in range(0, len(features), _STEP):
        clipped = np.clip(_numbers(features[start : start + _STEP], shares), ends[:, 0], ends[:, 1])
        centered = np.nan_to_num(clipped - means)
        products += centered.T @ centered
    deviations = np.sqrt(np.diag(products) / max(len(features), 1))
    scales = np.where(deviations > 1e-12 * np.maximum(np.abs(means), 1e-300), deviations, 0.0)
    varying = int(np.count_nonzero(scales))
    if varying < 2:
        return None
    unit = np.where(scales > 0, scales, 1.0)
    values, vectors = np.linalg.eigh(np.where(np.outer(scales, scales) > 0, products / np.outer(unit, unit), 0.0))
    falling = values[::-1].cumsum() / values.sum()
    kept = min(int(np.searchsorted(falling, EXPLAINED)) + 1, varying - 1)
    components = vectors[:, ::-1][:, :kept].T
    return Reconstruction(
        shares=shares,
        means=tuple(means.tolist()),
        scales=tuple(scales.tolist()),
        components=tuple(tuple(row) for row in components.tolist()),
    )


def reconstruction_errors(reconstruction: Reconstruction, features: Matrix) -> Values:
    """Return the length of what the projection of each row loses, float64 of shape (n,)."""
    means, scales = np.array(reconstruction.means), np.array(reconstruction.scales)
    components = np.array(reconstruction.components)
    factors = np.divide(1.0, scales, out=np.zeros_like(scales), where=scales > 0)
    found = np.empty(len(features))
    for start in range(0, len(features), _STEP):
        rows = _numbers(features[start : start + _STEP], reconstruction.shares)
        rows = np.nan_to_num(np.clip((rows - means) * factors, -_ENDS, _ENDS))
        squares = np.einsum("ij,ij->i", rows, rows)
        projected = rows @ components.T
        squares -= np.einsum("ij,ij->i", projected, projected)
        found[start : start + _STEP] = np.sqrt(np.maximum(squares, 0.0))
    return found


def _numbers(rows: Matrix, shares: Sequence[tuple[float, ...] | None]) -> Matrix:
    """Return rows with each category told by its share; an unseen one has none."""
    if not any(shares):
        return rows
    found = rows.copy()
    for place, known in enumerate(shares):
        if known is not None:
            table = np.array([*known, 0.0])
            column = rows[:, place]
            seen = (column >= 0) & (column < len(known))
            found[:, place] = table[np.where(seen, column, len(known)).astype(np.int64)]
            found[np.isnan(column), place] = np.nan
    return found


def _shares(histogram: Histogram) -> tuple[float, ...]:
    inside = np.asarray(histogram.counts[1 : max(len(histogram.edges), 1)], dtype=np.float64)
    return tuple((inside / max(inside.sum(), 1)).tolist())


def _ends(histogram: Histogram) -> tuple[float, float]:
    """Return what a number is clipped to while its mean and spread are taken: its quantiles, some way stretched."""
    if len(histogram.edges) < 4:
        return -np.inf, np.inf
    low, high = histogram.edges[1], histogram.edges[-2]
    return low - (high - low), high + (high - low)
