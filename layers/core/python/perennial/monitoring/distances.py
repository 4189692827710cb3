r"""Distances between a baseline and a window, and the law of each where nothing has moved.

For shares e of N reference rows and a of n rows of a window over B cells, and :math:`v = \phi_n/n + \phi_N/N`
(`perennial.monitoring.design_effects`; without dependence 1/n + 1/N):

- PSI / v tends to chi-squared with B - 1 degrees of freedom (B. Yurdakul, 2018);
- so does 8 times the Jensen-Shannon divergence (in nats) / v, whose second-order term is an eighth of PSI's;
- of the Wasserstein distance, the integral of :math:`|F_a - F_e|`, the law is that of the integral of a Brownian
  bridge's absolute value, times the square root of v.

So a threshold at one false-alarm rate shrinks with the rows. What decides is Pearson's two-sample chi-squared, of which
PSI is the limit too: with few rows its tail is nearer to the law.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from perennial.manifest import Histogram
from perennial.monitoring.design_effects import Effects, effect_at, freedom_of, variance_factor
from perennial.monitoring.laws import chi_squared_tail, f_tail, student_tail, upper_quantile

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

_CROSSINGS = 1.3
"""How far the integral of a bridge's absolute value lies in the tail above the integral's own two-sided tail.

Where it is large the bridge hardly ever crosses 0, so the two agree but for this factor: simulated for seven shapes of
the axis it is 1.0 to 1.3 from a rate of 1 % down (`tests/unit/monitoring/test_distances.py`).
"""


def jensen_shannon_divergence(expected: Integers, actual: Integers) -> float:
    """Return the Jensen-Shannon divergence of two counts over the same cells, in nats: 0 to ln 2; 0 without counts."""
    if expected.sum() == 0 or actual.sum() == 0:
        return 0.0
    e, a = expected / expected.sum(), actual / actual.sum()
    middle = (e + a) / 2
    return max((_divergence(e, middle) + _divergence(a, middle)) / 2, 0.0)


def pearson(expected: Integers, actual: Integers) -> float:
    """Return Pearson's chi-squared of two samples over the same cells, none of them empty on both sides."""
    n, reference = float(actual.sum()), float(expected.sum())
    pooled = (expected + actual) / (n + reference)
    difference = actual / n - expected / reference
    return float(np.sum(difference**2 / pooled) / (1 / n + 1 / reference))


def distribution_chance(expected: Integers, actual: Integers, effects: Effects = ()) -> float:
    """Return how likely a difference at least this large is where nothing has moved.

    Parameters
    ----------
    expected, actual : int64 arrays of shape (cells,)
        Counts as `perennial.monitoring.cells.comparable` gives them.
    """
    if len(expected) < 2:
        return 1.0
    n, reference = float(actual.sum()), float(expected.sum())
    statistic = pearson(expected, actual) * (1 / n + 1 / reference) / variance_factor(effects, n, reference)
    return _cells_tail(statistic, len(expected), effects, n)


def psi_threshold(level: float, cells: int, window: float, reference: float, effects: Effects = ()) -> float:
    """Return the population stability index that is exceeded at this rate where nothing has moved.

    Parameters
    ----------
    level : float
        The false-alarm rate of this one comparison, between 0 and 1.
    window, reference : float
        Rows of either side. Of the Jensen-Shannon divergence the threshold is an eighth of this.
    """
    if cells < 2:
        return math.inf
    quantile = upper_quantile(lambda x: _cells_tail(x, cells, effects, window), level)
    return quantile * variance_factor(effects, window, reference)


class Axis:
    """The axis of a number, between its 1st and 39th of 40 quantiles, with the weights of a Wasserstein distance.

    Beyond these a few extreme values would outweigh all others. The unit is the standard deviation between them.
    """

    def __init__(self, histogram: Histogram) -> None:
        counts = np.asarray(histogram.counts[:-1], dtype=np.float64)
        self.total = counts.sum()
        edges = np.asarray(histogram.edges, dtype=np.float64)
        shares = np.cumsum(counts)[:-1] / max(self.total, 1)
        self.kept = (shares > 0) & (shares < 1)
        self.below = shares[self.kept]
        x = edges[self.kept]
        self.weights = np.zeros(len(x))
        if len(x) > 1:
            gaps = np.diff(x)
            self.weights[:-1] += gaps / 2
            self.weights[1:] += gaps / 2
            middle = (x[1:] + x[:-1]) / 2
            mass = np.diff(self.below)
            center = float(np.sum(mass * middle) / mass.sum())
            spread = math.sqrt(float(np.sum(mass * ((middle - center) ** 2 + gaps**2 / 12)) / mass.sum()))
            self.weights /= spread
        self.covariance = np.minimum.outer(self.below, self.below) - np.outer(self.below, self.below)

    @property
    def told(self) -> bool:
        """Whether there is an axis to move along: at least three distinct values."""
        return len(self.weights) > 1

    def distance(self, counts: Integers) -> Numbers:
        """Return the distance of counts, shape (…, cells with the missing ones last), in standard deviations."""
        present = counts[..., :-1]
        total = np.maximum(present.sum(axis=-1, keepdims=True), 1)
        shares = (np.cumsum(present, axis=-1) / total)[..., :-1][..., self.kept]
        return np.asarray(np.abs(shares - self.below) @ self.weights, dtype=np.float64)

    @property
    def spread(self) -> float:
        """Standard deviation of the bridge's integral, without its absolute value."""
        return math.sqrt(max(float(self.weights @ self.covariance @ self.weights), 0.0))

    @property
    def mean_square(self) -> float:
        """Mean square of the integral of the bridge's absolute value (E|XY| of two normal values is in closed form)."""
        sizes = np.sqrt(np.diag(self.covariance))
        correlation = np.clip(self.covariance / np.outer(sizes, sizes), -1, 1)
        products = np.sqrt(1 - correlation**2) + correlation * np.arcsin(correlation)
        scaled = self.weights * sizes
        return float(2 / math.pi * scaled @ products @ scaled)

    def chance(self, distance: float, window: float, effects: Effects = ()) -> float:
        """Return how likely a distance at least this large is where nothing has moved; at most the truth's 1.3 fold."""
        scale = self.spread * math.sqrt(variance_factor(effects, window, self.total))
        if not self.told or scale == 0 or math.isinf(scale):
            return 1.0
        return _bridge_tail(distance / scale, effects, window)

    def threshold(self, level: float, window: float, effects: Effects = ()) -> float:
        """Return the distance that is exceeded at most at this rate where nothing has moved."""
        if not self.told:
            return math.inf
        scale = self.spread * math.sqrt(variance_factor(effects, window, self.total))
        return scale * upper_quantile(lambda x: _bridge_tail(x, effects, window), level)


def _cells_tail(statistic: float, cells: int, effects: Effects, window: float) -> float:
    freedom = freedom_of(effects, window)
    if freedom is None:
        return chi_squared_tail(statistic, cells - 1)
    above = min(freedom[0], cells - 1)
    return f_tail(statistic / (cells - 1), above, freedom[1])


def _bridge_tail(x: float, effects: Effects, window: float) -> float:
    measured = effect_at(effects, window)[1]
    freedom = math.inf if measured is None else measured.blocks - 1
    return min(_CROSSINGS * 2 * student_tail(x, freedom), 1.0)


def _divergence(p: Numbers, q: Numbers) -> float:
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / q[some])))
