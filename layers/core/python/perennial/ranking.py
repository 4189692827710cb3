"""How well scores put the rows of one class before the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]


def roc_auc(true: Truth, score: Scores, weight: Scores | None = None) -> float:
    """Return the probability that a row of the class is scored above another one; equal scores count half.

    Parameters
    ----------
    true : array of bool, shape (n,)
        Which rows are of the class: some, and not all.
    score : array of float64, shape (n,)
    weight : array of float64, shape (n,), optional
        How often each row counts, as in a bootstrap.
    """
    above, below = _by_score(true, score, weight)
    # Each row of the class beats all others with a lower score, and half of those with the same.
    lower = np.cumsum(below) - below
    return float(np.sum(above * (lower + below / 2)) / (above.sum() * below.sum()))


def average_precision(true: Truth, score: Scores, weight: Scores | None = None) -> float:
    """Return the mean over the class's rows of the precision at each one's score (as scikit-learn defines it)."""
    above, below = _by_score(true, score, weight)
    hits, all_rows = np.cumsum(above[::-1]), np.cumsum((above + below)[::-1])
    precision = np.divide(hits, all_rows, out=np.zeros_like(hits), where=all_rows > 0)
    return float(np.sum(precision * above[::-1]) / above.sum())


def _by_score(true: Truth, score: Scores, weight: Scores | None) -> tuple[Scores, Scores]:
    """Return the weight of rows of the class, and of the others, at each distinct score in rising order."""
    _, place = np.unique(score, return_inverse=True)
    weights = np.ones(len(score)) if weight is None else weight
    above, below = (np.bincount(place, weights * rows).astype(np.float64) for rows in (true, ~true))
    return above, below
