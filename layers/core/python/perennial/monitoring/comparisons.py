"""Comparisons of one column of a window with its baseline: each a figure, its chance, and its threshold at any rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from perennial.drift import population_stability_index
from perennial.monitoring.baseline import ColumnBaseline
from perennial.monitoring.cells import comparable, grouped
from perennial.monitoring.distances import Axis, distribution_chance, jensen_shannon_divergence, psi_threshold
from perennial.monitoring.proportions import beyond_chance, least_count, share_chance

Integers = npt.NDArray[np.int64]
Kind = Literal["distribution", "shift", "missing", "unseen", "beyond"]
"""Shares of cells (PSI); Wasserstein distance of a number; shares of missing values, of unseen categories, and of
values beyond the training rows' range."""


@dataclass(frozen=True)
class Comparison:
    """One figure of one column."""

    kind: Kind
    value: float
    """PSI, Wasserstein distance in standard deviations of the training rows, or share of the window's rows."""
    reference: float
    """The share of the training rows; 0 of a distance."""
    chance: float
    """How likely at least this much is where nothing has moved."""
    threshold: Callable[[float], float]
    """What the value of one comparison has to exceed at a false-alarm rate."""
    jensen_shannon: float | None = None
    """Of a distribution, in nats."""


def comparisons(column: ColumnBaseline, counts: Integers, *, shares: bool = True) -> Iterator[Comparison]:
    """Compare a column's counts in a window with its baseline.

    Parameters
    ----------
    counts : int64 array
        Laid out as the baseline's histogram; without rows there is nothing to compare.
    shares : bool
        Whether missing, unseen and out-of-range values are compared too.
    """
    if counts.sum() == 0:
        return
    reference = np.asarray(column.histogram.counts, dtype=np.int64)
    yield from _distribution(column, counts, reference)
    yield from _shift(column, counts)
    if shares:
        yield _missing(column, counts, reference)
        if counts[:-1].sum() and reference[:-1].sum():
            yield _unseen(column, counts, reference) if column.kind == "category" else _beyond(column, counts)


def _distribution(column: ColumnBaseline, counts: Integers, reference: Integers) -> Iterator[Comparison]:
    expected, actual = comparable(grouped(reference, column.groups), grouped(counts, column.groups))
    if len(expected) < 2:
        return
    effects, rows, reference_rows = column.distribution_effects, float(actual.sum()), float(expected.sum())
    yield Comparison(
        "distribution",
        population_stability_index(expected.tolist(), actual.tolist()),
        0.0,
        distribution_chance(expected, actual, effects),
        lambda level: psi_threshold(level, len(expected), rows, reference_rows, effects),
        jensen_shannon_divergence(expected, actual),
    )


def _shift(column: ColumnBaseline, counts: Integers) -> Iterator[Comparison]:
    rows = float(counts[:-1].sum())
    if column.kind == "category" or rows == 0:
        return
    axis, effects = Axis(column.histogram), column.shift_effects
    if axis.told:
        distance = float(axis.distance(counts))
        yield Comparison(
            "shift",
            distance,
            0.0,
            axis.chance(distance, rows, effects),
            lambda level: axis.threshold(level, rows, effects),
        )


def _missing(column: ColumnBaseline, counts: Integers, reference: Integers) -> Comparison:
    here, there = (float(counts[-1]), float(counts.sum())), (float(reference[-1]), float(reference.sum()))
    return _share("missing", column, here, there)


def _unseen(column: ColumnBaseline, counts: Integers, reference: Integers) -> Comparison:
    # Their place is below all others.
    here, there = ((float(one[0]), float(one[:-1].sum())) for one in (counts, reference))
    return _share("unseen", column, here, there)


def _share(kind: Kind, column: ColumnBaseline, here: tuple[float, float], there: tuple[float, float]) -> Comparison:
    def chance(count: float) -> float:
        return share_chance(count, here[1], *there, column.missing_effects)

    share = there[0] / there[1]
    return Comparison(
        kind,
        here[0] / here[1],
        share,
        chance(here[0]),
        lambda level: least_count(chance, level, share * here[1], here[1]) / here[1],
    )


def _beyond(column: ColumnBaseline, counts: Integers) -> Comparison:
    below, above, rows = float(counts[0]), float(counts[-2]), float(counts[:-1].sum())
    reference = float(sum(column.histogram.counts[:-1]))
    effects = column.distribution_effects

    def chance(count: float) -> float:
        return beyond_chance(0, count, rows, reference, effects)

    return Comparison(
        "beyond",
        (below + above) / rows,
        0.0,
        beyond_chance(below, above, rows, reference, effects),
        lambda level: least_count(chance, level, 0, rows) / rows,
    )
