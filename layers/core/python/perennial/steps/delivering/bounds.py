"""What counts and ranks alone tell of shares and quantiles: no distribution of what is measured is assumed."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]


def chance_of_as_many(hits: int, number: int, share: float) -> float:
    """Return how likely so many hits or more are, of so many trials, if each hits with the probability ``share``.

    The tail of the binomial distribution, exactly.
    """
    if share == 0:
        return float(hits == 0)
    return float(min(_binomial(number, share)[hits:].sum(), 1.0))


def chance_of_more(hits: int, number: int, other_hits: int, other_number: int) -> float:
    """Return how likely so many of all hits or more fall to the first trials, if both hit equally often.

    Fisher's exact test, one-sided (R. A. Fisher, *The design of experiments*, 1935). 1 where one had no trials.
    """
    every, all_hits = number + other_number, hits + other_hits
    split = np.arange(hits, min(all_hits, number) + 1)
    factorial = _log_factorials(every)

    def ways(of: int, chosen: npt.NDArray[np.int64]) -> Vector:
        logarithms: Vector = factorial[of] - factorial[chosen] - factorial[of - chosen]
        return logarithms

    possible = split[number - split <= every - all_hits]
    chances = ways(all_hits, possible) + ways(every - all_hits, number - possible)
    return float(min(np.exp(chances - ways(every, np.array([number]))).sum(), 1.0))


def quantile_bounds(values: Vector, quantile: float, confidence: float) -> tuple[float, float]:
    """Return between which values a quantile lies: each end by itself is right with that confidence.

    The number of values below a quantile has a binomial distribution, whatever the values' own is; so two of the sorted
    values are such ends (W. R. Thompson, *On confidence ranges for the median*, 1936).

    Parameters
    ----------
    values : float64 array of shape (n,)
        Drawn independently, in any order.
    quantile, confidence : float
        Between 0 and 1.

    Returns
    -------
    (float, float)
        ``-inf`` or ``inf`` where there are too few values to say.
    """
    number = len(values)
    ordered = np.sort(values)
    # P(at most k of n are below the quantile), k = 0 … n - 1
    below = np.cumsum(_binomial(number, quantile))[:-1]
    # The k-th smallest value is below the quantile if at least k values are: probability 1 - below[k - 1].
    lower = np.flatnonzero(1 - below >= confidence)
    # It is above if at most k - 1 are.
    upper = np.flatnonzero(below >= confidence)
    return (
        float(ordered[lower[-1]]) if len(lower) else -math.inf,
        float(ordered[upper[0]]) if len(upper) else math.inf,
    )


def _binomial(number: int, share: float) -> Vector:
    """Return the probabilities of 0 to ``number`` hits, of shape (number + 1,)."""
    factorial = _log_factorials(number)
    hits = np.arange(number + 1)
    chosen = factorial[-1] - factorial - factorial[::-1]
    probabilities: Vector = np.exp(chosen + hits * math.log(share) + (number - hits) * math.log1p(-share))
    return probabilities


def _log_factorials(number: int) -> Vector:
    """Return the logarithms of the factorials of 0 to ``number``."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, number + 1)))])
