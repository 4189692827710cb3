"""Tests of shares: missing values, unseen categories, values beyond the range of the training rows."""

from __future__ import annotations

import math
from collections.abc import Callable

from perennial.monitoring.design_effects import Effects, effect_at
from perennial.monitoring.laws import beta_share, binomial_tail, student_tail

_RARE = 0.1
"""Pooled share up to which the exact law is used: it is within a twentieth of the spread of the true one there."""


def share_chance(count: float, rows: float, reference: float, reference_rows: float, effects: Effects = ()) -> float:
    """Return how likely a difference of two shares at least this large is where nothing has moved, either way.

    A rare share is tested exactly: of all its rows, those of the window are binomial by its part of all rows. Else the
    two-proportion test with the correction for continuity is used. Both count rows by their design effect.

    Parameters
    ----------
    count, rows : float
        Rows of the window that have the trait, and all of them.
    reference, reference_rows : float
        Likewise of the training rows.
    """
    if rows <= 0 or reference_rows <= 0:
        return 1.0
    share = (count + reference) / (rows + reference_rows)
    if share > 1 / 2:
        return share_chance(rows - count, rows, reference_rows - reference, reference_rows, effects)
    if share == 0:
        return 1.0
    here, measured = effect_at(effects, rows)
    there = effects[-1].effect if effects else 1.0
    if share <= _RARE:
        few, all_of_them = count / here, count / here + reference / there
        part = (rows / here) / (rows / here + reference_rows / there)
        more = binomial_tail(few, all_of_them, part)
        fewer = beta_share(1 - part, all_of_them - few, few + 1) if few < all_of_them else 1.0
        return min(2 * min(more, fewer), 1.0)
    variance = share * (1 - share) * (here / rows + there / reference_rows)
    difference = abs(count / rows - reference / reference_rows) - (1 / rows + 1 / reference_rows) / 2
    freedom = math.inf if measured is None else measured.blocks - 1
    return min(2 * student_tail(max(difference, 0.0) / math.sqrt(variance), freedom), 1.0)


def least_count(chance: Callable[[float], float], level: float, usual: float, rows: float) -> float:
    """Return the least number of a window's rows above the usual one that is no chance at a rate; all if none is.

    Found by halving over what decides.

    Parameters
    ----------
    chance : callable
        The chance of a number of rows; falls above ``usual``.
    """
    low, high = usual, rows
    while high - low > 0.5:
        middle = (low + high) / 2
        if chance(middle) > level:
            low = middle
        else:
            high = middle
    return high


def beyond_chance(below: float, above: float, rows: float, reference_rows: float, effects: Effects = ()) -> float:
    r"""Return how likely so many values beyond the range of the training rows are where nothing has moved.

    Whatever the distribution, k of n values lie above the largest of N earlier ones with the chance

    .. math:: \prod_{i < k} \frac{n - i}{n + N - i}

    or less, where ties are likely (E. J. Gumbel and H. von Schelling, *The distribution of the number of exceedances*,
    1950); twice that bounds both sides.

    Parameters
    ----------
    below, above : float
        Values of the window below the least, and above the largest, of the training rows.
    """
    effect = effect_at(effects, rows)[0]
    n, k = rows / effect, max(below, above) / effect
    earlier = reference_rows / (effects[-1].effect if effects else 1.0)
    if k <= 0 or earlier <= 0:
        return 1.0
    logarithm = (
        math.lgamma(n + 1) - math.lgamma(n - k + 1) - math.lgamma(n + earlier + 1) + math.lgamma(n + earlier - k + 1)
    )
    return min(2 * math.exp(min(logarithm, 0.0)), 1.0)
