"""Whether features still go together as they did: the error of rebuilding rows from their principal components.

Each feature by itself may look as ever while their combinations are new. Rows are standardised and projected onto the
components that hold `EXPLAINED` of the training rows' variance; what the projection loses is the row's error (as
NannyML's data reconstruction does; J. E. Jackson and G. S. Mudholkar, *Control procedures for residuals associated
with principal component analysis*, 1979). The errors are a number like any other, with a histogram and design
effects of its own, so the same tests judge it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from perennial.manifest import Histogram
from perennial.records import Record

EXPLAINED = 0.65
_STEP = 2_048
"""Rows at once: they stay in the processor's cache, and the products are too small to be shared out to threads."""
_ENDS = 4.0
"""Standard deviations beyond which a value counts as being there: an outlier is the range signal's affair."""

_CONSTANT = 1e-12
"""Standard deviation, by the mean, up to which a feature counts as one that does not vary: it is rounding."""

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
    """Find the components of rows of shape (n, number of features); None if fewer than two features vary.

    The errors of these rows are smaller than those of others, which the components were not fitted to.
    """
    shares = tuple(
        _shares(histogram) if categories.get(name) else None for histogram, name in zip(histograms, names, strict=True)
    )
    ends = np.array(
        [_ends(histogram) if told is None else (0.0, 1.0) for histogram, told in zip(histograms, shares, strict=True)]
    ).reshape(-1, 2)
    count, total, products = np.zeros(len(names)), np.zeros(len(names)), np.zeros((len(names), len(names)))
    for columns in _columns(features, shares):
        clipped = np.clip(columns, ends[:, :1], ends[:, 1:])
        count += np.isfinite(clipped).sum(axis=1)
        total += np.nansum(clipped, axis=1)
    means = total / np.maximum(count, 1)
    for columns in _columns(features, shares):
        centered = np.nan_to_num(np.clip(columns, ends[:, :1], ends[:, 1:]) - means[:, None])
        products += centered @ centered.T
    deviations = np.sqrt(np.diag(products) / max(len(features), 1))
    scales = np.where(deviations > _CONSTANT * np.abs(means), deviations, 0.0)
    varying = int(np.count_nonzero(scales))
    if varying < 2:
        return None
    unit = np.where(scales > 0, scales, 1.0)
    values, vectors = np.linalg.eigh(np.where(np.outer(scales, scales) > 0, products / np.outer(unit, unit), 0.0))
    explained = values[::-1].cumsum() / values.sum()
    kept = min(int(np.searchsorted(explained, EXPLAINED)) + 1, varying - 1)
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
    factors = np.divide(1.0, scales, out=np.zeros_like(scales), where=scales > 0)[:, None]
    found = [np.empty(0)]
    for columns in _columns(features, reconstruction.shares):
        standard = (columns - means[:, None]) * factors
        np.clip(standard, -_ENDS, _ENDS, out=standard)
        standard[np.isnan(standard)] = 0.0
        projected = components @ standard
        squares = np.square(standard, out=standard).sum(axis=0) - np.square(projected, out=projected).sum(axis=0)
        found.append(np.sqrt(np.maximum(squares, 0.0)))
    return np.concatenate(found)


def _columns(features: Matrix, shares: Sequence[tuple[float, ...] | None]) -> Iterator[Matrix]:
    """Give rows in parts, a line per feature, with each category told by its share; an unseen one has none."""
    for start in range(0, len(features), _STEP):
        columns = np.ascontiguousarray(features[start : start + _STEP].T)
        if any(known is not None for known in shares):
            columns = columns.copy()
        for place, known in enumerate(shares):
            if known is not None:
                line = columns[place]
                missing = np.isnan(line)
                seen = (line >= 0) & (line < len(known))
                line[:] = np.array([*known, 0.0])[np.where(seen, line, len(known)).astype(np.int64)]
                line[missing] = np.nan
        yield columns


def _shares(histogram: Histogram) -> tuple[float, ...]:
    inside = np.asarray(histogram.counts[1 : max(len(histogram.edges), 1)], dtype=np.float64)
    return tuple((inside / max(inside.sum(), 1)).tolist())


def _ends(histogram: Histogram) -> tuple[float, float]:
    """Return what a number is clipped to while its mean and spread are taken: its quantiles, some way stretched."""
    if len(histogram.edges) < 4:
        return -np.inf, np.inf
    low, high = histogram.edges[1], histogram.edges[-2]
    return low - (high - low), high + (high - low)
