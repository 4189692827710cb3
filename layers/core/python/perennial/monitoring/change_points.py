r"""Change points: since when a series of figures is what it is now.

A series is cut where that lowers the weighted squared deviation from the pieces' means by more than a penalty, by exact
search (B. Jackson and others, *An algorithm for optimal partitioning of data on an interval*, 2005). A cut at one given
place lowers it by :math:`\sigma^2 \chi^2_1` where nothing has changed, and there are n - 1 places, so a penalty of
:math:`\sigma^2` times the :math:`1 - \alpha / (n - 1)` quantile finds a change in a series without one at most at the
rate :math:`\alpha`. The noise is measured on differences of neighbours, which a few jumps hardly touch, and widened
where these show that the series hangs together from one period to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perennial.monitoring.laws import chi_squared_tail, upper_quantile
from perennial.records import Record

Values = npt.NDArray[np.float64]

SHORTEST = 2
"""Figures of the shortest piece: a single one is an outlier."""
FEWEST = 6
"""Figures below which nothing is said."""
_MOST_CORRELATION = 0.9


class Change(Record):
    """A place at which a series changed."""

    place: int
    """Index of the first figure after it."""
    before: float
    """Mean of the piece before it."""
    after: float
    """Mean of the piece after it."""
    chance: float
    """How likely a change at least this clear is, anywhere in the series, where there is none."""


def change_points(
    series: Sequence[float], weights: Sequence[float] | None = None, level: float = 0.01
) -> tuple[Change, ...]:
    """Find the places at which the mean of a series changed, the earliest first.

    Parameters
    ----------
    series : sequence of float
        Figures of equal periods, by rising time, such as the mean loss of each day; all finite.
    weights : sequence of float, optional
        Rows of each figure, above 0: the variance of a mean is less the more there are. By default all are alike.
    level : float
        Rate at which a series without a change is said to have one.
    """
    values = np.asarray(series, dtype=np.float64)
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    if len(values) < FEWEST:
        return ()
    variance = _noise(values, weight)
    if variance == 0:
        variance = np.finfo(np.float64).eps * float(np.mean(weight * values**2)) + np.finfo(np.float64).tiny
    quantile = upper_quantile(lambda x: chi_squared_tail(x, 1), level / (len(values) - 1))
    cuts = _cut(values, weight, variance * quantile)
    return tuple(_change(values, weight, cuts, number, variance) for number in range(len(cuts)))


def unchanged_since(changes: Sequence[Change]) -> int:
    """Return the index from which a series is what it is now: 0 if it never changed."""
    return changes[-1].place if changes else 0


def _noise(values: Values, weight: Values) -> float:
    r"""Return what the variance of a figure of weight 1 counts as, dependence included, from differences.

    Of a first-order autoregression with correlation r, differences of neighbours have :math:`2 \sigma^2 (1 - r)`, those
    of the next but one :math:`1 + r` times that, and the mean of a long piece behaves as if the variance were
    :math:`\sigma^2 (1 + r) / (1 - r)`.
    """
    near, far = (_of_differences(values, weight, lag) for lag in (1, 2))
    correlation = min(max(far / near - 1, 0.0), _MOST_CORRELATION) if near > 0 else 0.0
    return near * (1 + correlation) / (1 - correlation) ** 2


def _of_differences(values: Values, weight: Values, lag: int) -> float:
    """Return half the mean square of differences (J. von Neumann, 1941, for neighbours).

    The largest are left out, as many as a jump in twenty figures makes and at least two of twenty figures or more, and
    the mean is scaled as normal noise asks.
    """
    scale = np.sqrt(1 / weight[lag:] + 1 / weight[:-lag])
    squares = np.sort(((values[lag:] - values[:-lag]) / scale) ** 2)
    dropped = lag * max(len(values) // 20, 2 if len(values) >= 20 else 1)
    kept = squares[: len(squares) - dropped]
    largest = upper_quantile(lambda x: chi_squared_tail(x, 1), dropped / len(squares))
    # The mean of squares below their quantile: x times chi-squared's density is that of three degrees of freedom.
    return float(kept.mean()) * (1 - dropped / len(squares)) / (1 - chi_squared_tail(largest, 3))


def _cut(values: Values, weight: Values, penalty: float) -> list[int]:
    """Return the cuts that minimise the deviation plus the penalty for each of them."""
    total = np.concatenate([[0.0], np.cumsum(weight)])
    center = float(np.average(values, weights=weight))  # keeps the digits of series far from 0
    first = np.concatenate([[0.0], np.cumsum(weight * (values - center))])
    second = np.concatenate([[0.0], np.cumsum(weight * (values - center) ** 2)])
    n = len(values)
    best = np.full(n + 1, math.inf)
    best[0] = -penalty
    last = np.zeros(n + 1, dtype=np.int64)
    starts = np.array([0], dtype=np.int64)
    for end in range(SHORTEST, n + 1):
        cost = second[end] - second[starts] - (first[end] - first[starts]) ** 2 / (total[end] - total[starts])
        found = best[starts] + cost
        chosen = int(np.argmin(found))
        best[end], last[end] = found[chosen] + penalty, starts[chosen]
        if end - SHORTEST + 1 >= SHORTEST:  # from there on a piece can end where the next one is long enough
            starts = np.append(starts, end - SHORTEST + 1)
    cuts: list[int] = []
    place = int(last[n])
    while place > 0:
        cuts.append(place)
        place = int(last[place])
    return cuts[::-1]


def _change(values: Values, weight: Values, cuts: Sequence[int], number: int, variance: float) -> Change:
    bounds = [0, *cuts, len(values)]
    low, place, high = bounds[number], bounds[number + 1], bounds[number + 2]
    before = float(np.average(values[low:place], weights=weight[low:place]))
    after = float(np.average(values[place:high], weights=weight[place:high]))
    squares = (after - before) ** 2 / (1 / weight[low:place].sum() + 1 / weight[place:high].sum())
    chance = min(chi_squared_tail(squares / variance, 1) * (len(values) - 1), 1.0)
    return Change(place=place, before=before, after=after, chance=chance)
