"""How far figures on the held-out rows would move on other rows like them: a block bootstrap, numpy only.

Rows that happen close to one another are alike (weather, a promotion, one customer's orders), so n of them tell less
than n independent ones would. Whole stretches of event time are drawn instead of rows (E. Carlstein, *The use of
subseries values for estimating the variance of a general statistic from a stationary sequence*, 1986), which keeps
what is within a stretch together. Metrics that are functions of sums need the sums of each block only, so that a
million rows cost little more than one pass over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Times = npt.NDArray[np.datetime64]

BLOCKS = 200
"""Most blocks: enough to know a standard error to 5 %, and each as long, as independent of the next, as can be."""
FEWEST = 10
"""Blocks below which no interval is given: too few to be drawn from."""
RESAMPLES = 500
LEVEL = 0.95
"""Of the intervals that reports show, two-sided."""
_TIED = 30
"""Blocks below which rows of one moment may fall into two blocks, as where event times are days and there are few."""
_UNDEFINED = 0.1
"""Share of resamples in which a figure may be undefined, such as of a rare slice, before it has no interval."""


@dataclass(frozen=True)
class Resamples:
    """Blocks of rows, and how often each was drawn: the same draws for all that is compared.

    ``block`` is of shape (n,): the block of each row; ``draws`` of shape (resamples, blocks): how often a block counts.
    """

    block: npt.NDArray[np.int64]
    draws: Vector

    @property
    def blocks(self) -> int:
        """How many blocks there are; 0 when the rows are too few for intervals."""
        return int(self.draws.shape[1])

    def sums(self, values: Vector) -> Vector:
        """Return the sum of a column (n,) in each resample, of shape (resamples,)."""
        return np.asarray(self.draws @ np.bincount(self.block, values, minlength=self.blocks), dtype=np.float64)

    def counts(self) -> Vector:
        """Return how many rows each resample has."""
        return self.sums(np.ones(len(self.block)))

    def cells(self, cell: npt.NDArray[np.int64], number: int) -> Vector:
        """Return how many rows of each cell (0 to ``number`` - 1) a resample has, of shape (resamples, number)."""
        counted = np.bincount(self.block * number + cell, minlength=self.blocks * number)
        return np.asarray(self.draws @ counted.reshape(self.blocks, number).astype(np.float64), dtype=np.float64)

    def of(self, rows: npt.NDArray[np.bool_]) -> Resamples:
        """Return the same draws of some of the rows."""
        return Resamples(self.block[rows], self.draws)


def resamples(event_time: Times, seed: int, number: int = RESAMPLES) -> Resamples:
    """Cut rows into blocks of consecutive event time, and draw blocks with replacement, again and again.

    There are ``min(200, n^(2/3) / 2)`` blocks of equally many rows: a length that grows with the cube root of n is of
    the best order for a variance (P. Hall, J. Horowitz and B.-Y. Jing, *On blocking rules for the bootstrap with
    dependent data*, 1995), and twice that root is best where neighbours correlate by 0.7 (Carlstein's rule). Beyond 200
    blocks longer ones cost nothing, and are safer where dependence reaches far. Rows of one moment stay together.

    Of k blocks k - 3 are drawn. A mean of k draws varies by a share of ``(k - 1) / k`` too little, and Student's
    distribution, by which few blocks are to be judged, has the variance ``(k - 1) / (k - 3)``: this makes up for both.

    Parameters
    ----------
    event_time : array of datetime64, shape (n,)
        In any order.
    seed : int
        Of the draws.
    number : int
        How many resamples.

    Returns
    -------
    Resamples
        With no blocks if there would be fewer than ten.
    """
    rows = len(event_time)
    wanted = min(BLOCKS, int(rows ** (2 / 3) / 2))
    if wanted < FEWEST:
        return Resamples(np.zeros(rows, dtype=np.int64), np.empty((number, 0)))
    order = np.argsort(event_time, kind="stable")
    starts = np.arange(wanted) * rows // wanted
    times = event_time[order]
    whole = np.unique(np.searchsorted(times, times[starts], side="left"))
    starts = whole if len(whole) >= min(_TIED, wanted) else starts
    block = np.empty(rows, dtype=np.int64)
    block[order] = np.searchsorted(starts, np.arange(rows), side="right") - 1
    blocks = len(starts)
    drawn = np.random.default_rng(seed).multinomial(blocks - 3, np.full(blocks, 1 / blocks), size=number)
    return Resamples(block, drawn.astype(np.float64))


def interval(figures: Vector, level: float = LEVEL) -> tuple[float, float] | None:
    """Return the ends of the central ``level`` of a figure's resamples; None where there are too few to say."""
    if not _enough(figures):
        return None
    low, high = np.nanquantile(figures, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def lower_bound(figures: Vector, confidence: float) -> float | None:
    """Return the value that a figure exceeds with that confidence (one-sided); None where there are too few to say."""
    return float(np.nanquantile(figures, 1 - confidence)) if _enough(figures) else None


def improvement(metric: Vector | float, other: Vector | float, *, more_is_better: bool) -> Vector:
    """Return how much better a metric is than another one, relative to that other one: 0.02 is 2 % better.

    ``1 - metric / other`` where less is better, ``(metric - other) / |other|`` where more is; NaN where the other is 0.
    """
    ours, theirs = np.asarray(metric, dtype=np.float64), np.asarray(other, dtype=np.float64)
    gained = ours - theirs if more_is_better else theirs - ours
    gain: Vector = np.divide(gained, np.abs(theirs), out=np.full(np.shape(gained), np.nan), where=theirs != 0)
    return gain


def _enough(figures: Vector) -> bool:
    return len(figures) > 0 and float(np.mean(~np.isfinite(figures))) <= _UNDEFINED
