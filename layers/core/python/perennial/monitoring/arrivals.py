"""Whether rows come as they used to: how many in a period, and how long ago the last one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from perennial.monitoring.laws import student_tail
from perennial.records import Record

FEWEST = 4
"""Earlier periods below which nothing is said."""


class Arrival(Record):
    """A figure of how rows come."""

    value: float
    """Rows of the period, or seconds since the last row."""
    expected: float
    """The mean of the earlier periods, or the longest of the earlier gaps."""
    chance: float
    """How likely something at least as strange is where nothing has moved."""


def volume(earlier: Sequence[int], rows: int) -> Arrival | None:
    r"""Compare a period's rows with those of earlier periods alike (such as the same weekday's).

    Counts of independent callers are Poisson; what they vary by beyond that, periods show. With the mean m of K
    periods and the dispersion :math:`\phi = \max(1, s^2 / m)`,

    .. math:: t = \frac{c - m}{\sqrt{\phi m (1 + 1/K)}}

    follows Student's law with K - 1 degrees of freedom (quasi-Poisson; P. McCullagh and J. Nelder, *Generalized Linear
    Models*, 1989, chapter 6).

    Returns
    -------
    Arrival or None
        None with fewer than `FEWEST` periods, or when none of them had a row.
    """
    periods = len(earlier)
    mean = sum(earlier) / periods if periods else 0.0
    if periods < FEWEST or mean == 0:
        return None
    variance = sum((count - mean) ** 2 for count in earlier) / (periods - 1)
    spread = math.sqrt(max(variance, mean) * (1 + 1 / periods))
    chance = 2 * student_tail(abs(rows - mean) / spread, periods - 1)
    return Arrival(value=rows, expected=mean, chance=min(chance, 1.0))


def freshness(earlier: Sequence[float], silence: float) -> Arrival | None:
    """Compare the time since the last row with the longest gap of each of several earlier periods alike.

    Of K + 1 periods alike each is the one with the longest gap with the same chance, so a silence that outlasts k of K
    longest gaps has a chance of (K - k + 1) / (K + 1), whatever their law; no less than one in K + 1 can be shown.

    Parameters
    ----------
    earlier : sequence of float
        Longest gap between two rows of each period, in seconds.
    silence : float
        Seconds since the last row.
    """
    periods = len(earlier)
    if periods < FEWEST:
        return None
    longer = sum(gap >= silence for gap in earlier)
    return Arrival(value=silence, expected=max(earlier), chance=(longer + 1) / (periods + 1))
