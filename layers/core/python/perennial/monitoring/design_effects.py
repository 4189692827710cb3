r"""Design effects: how much more windows of consecutive rows differ than as many independent rows would.

Rows of one day are alike, and days differ. The variance of a share over windows of m consecutive rows is

.. math:: \phi_m \frac{p (1 - p)}{m}, \qquad \phi_m = 1 + (m - 1) \rho_m

with the design effect :math:`\phi_m` and the intraclass correlation :math:`\rho_m` (L. Kish, *Survey Sampling*, 1965).
Both are measured on blocks of the training rows, and a window is judged by what such windows did then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from perennial.records import Record

SHORTEST = 200
"""Rows of the shortest blocks."""
FEWEST = 10
"""Blocks below which a length is not measured; the longest blocks are a tenth of the rows."""
_GROWTH = 4

Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


class DesignEffect(Record):
    """What blocks of one length say."""

    rows: int = Field(ge=1)
    """Rows of each block."""
    blocks: int
    effect: float = Field(ge=1)
    freedom: float
    """Degrees of freedom that chi-squared has for a block: fewer where the blocks differ in one direction mostly."""


Effects = tuple[DesignEffect, ...]
"""By rising length; none where the rows were too few, or in no order: they count as independent then."""


def lengths(rows: int) -> tuple[int, ...]:
    """Return the lengths of blocks that are measured on so many rows."""
    longest = rows // FEWEST
    if longest < SHORTEST:
        return ()
    ladder = [SHORTEST * _GROWTH**k for k in range(40) if SHORTEST * _GROWTH**k < longest]
    return (*ladder, longest)


def block_counts(cells: Integers, number: int, length: int) -> Integers:
    """Count cells, shape (n,), in blocks of consecutive rows: shape (n // length, number)."""
    blocks = len(cells) // length
    kept = cells[: blocks * length]
    place = np.repeat(np.arange(blocks), length) * number + kept
    return np.bincount(place, minlength=blocks * number).reshape(blocks, number).astype(np.int64)


def effect_of_counts(counts: Integers) -> DesignEffect | None:
    """Measure the design effect of a distribution over cells.

    The mean over blocks of Pearson's chi-squared against their sum, by its degrees of freedom; how many the law of a
    block really has is fitted to the variance over the blocks (F. E. Satterthwaite, 1946).

    Parameters
    ----------
    counts : int64 array of shape (blocks, cells)
        Blocks need not hold equally many rows, as where missing values are left out.

    Returns
    -------
    DesignEffect or None
        None where fewer than two cells, or fewer than `FEWEST` blocks, hold rows.
    """
    counts = counts[:, counts.sum(axis=0) > 0]
    rows = counts.sum(axis=1, keepdims=True)
    counts, rows = counts[rows[:, 0] > 0], rows[rows[:, 0] > 0]
    blocks, cells = counts.shape
    if cells < 2 or blocks < FEWEST:
        return None
    expected = rows * (counts.sum(axis=0) / counts.sum())
    statistics = ((counts - expected) ** 2 / expected).sum(axis=1) * blocks / (blocks - 1)
    mean, variance = float(statistics.mean()), float(statistics.var(ddof=1))
    freedom = 2 * mean**2 / variance if variance > 0 else cells - 1
    return DesignEffect(
        rows=max(round(float(rows.mean())), 1),
        blocks=blocks,
        effect=max(mean / (cells - 1), 1.0),
        freedom=min(max(freedom, 1.0), cells - 1),
    )


def effect_of_squares(squares: Numbers, expected: float, unit: float, length: int) -> DesignEffect | None:
    """Measure the design effect of a distance from the mean over blocks of its square, shape (blocks,).

    Parameters
    ----------
    expected : float
        What the mean is where rows are independent.
    unit : float
        Variance of the direction that decides far out; what the mean is beyond ``expected`` is taken to lie in it.
    """
    blocks = len(squares)
    if blocks < FEWEST or unit <= 0:
        return None
    excess = float(squares.mean()) * blocks / (blocks - 1) - expected
    return DesignEffect(rows=length, blocks=blocks, effect=max(1 + excess / unit, 1.0), freedom=1)


def effect_at(effects: Effects, rows: float) -> tuple[float, DesignEffect | None]:
    """Return the design effect of a window of so many rows, and the measurement that it is taken from.

    Between the lengths that were measured, and beyond, the intraclass correlation of the next shorter one is used: it
    falls with the length, so this errs on the side of silence. A window that is longer than any that was measured is
    taken to differ from others as much as the longest ones did.
    """
    if not effects or rows <= 0:
        return 1.0, None
    measured = next((one for one in reversed(effects) if one.rows <= rows), effects[0])
    correlation = (measured.effect - 1) / max(measured.rows - 1, 1)
    return 1 + (max(rows, 1) - 1) * correlation, measured


def variance_factor(effects: Effects, window: float, reference: float) -> float:
    r"""Return :math:`\phi_n / n + \phi_N / N`: what multiplies p (1 - p) in the variance of two shares' difference.

    The reference is made of many of the longest blocks, so its own rows count by the effect of these.
    """
    if window <= 0 or reference <= 0:
        return math.inf
    longest = effects[-1].effect if effects else 1.0
    return effect_at(effects, window)[0] / window + longest / reference


def freedom_of(effects: Effects, window: float) -> tuple[float, float] | None:
    """Return the degrees of freedom of the F law that a statistic over its measured mean follows; None: chi-squared.

    The mean was measured on a limited number of blocks, each with so many degrees of freedom.
    """
    measured = effect_at(effects, window)[1]
    return None if measured is None else (measured.freedom, measured.freedom * (measured.blocks - 1))


def measured(found: Sequence[DesignEffect | None]) -> Effects:
    """Return the measurements that there are."""
    return tuple(one for one in found if one is not None)
