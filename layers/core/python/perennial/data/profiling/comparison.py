"""How the columns of a snapshot differ from those of the one before, told from their profiles alone."""

from __future__ import annotations

import math
from typing import Literal

from perennial.data.profiling.histogram import stability
from perennial.data.profiling.profile import MOMENTS, ColumnProfile, Profile
from perennial.drift import population_stability_index
from perennial.records import Record

PSI, NULLS, MEAN = 0.25, 0.10, 0.5
"""By how much a column has moved much: population stability index beyond chance, share of nulls, and mean in standard
deviations (Cohen's medium effect)."""
SOME = 0.4
"""Share of that from which on it has moved at all: 0.1 of PSI, 4 % of nulls, 0.2 standard deviations."""
MOST_CHANCE = 0.05
"""Where chance alone makes a larger PSI than this, too few rows are there to call a column steady: with 10 cells, below
360 on either side."""
_SURE = 3.0
"""Standard errors beyond which a difference is no chance."""


class ColumnComparison(Record):
    """How one column has moved."""

    name: str
    moved: Literal["much", "some", "steady", "unknown"]
    """``unknown``: there are too few values to tell."""
    score: float
    """1 or more where it has moved much; the largest of its figures, each over what counts as much."""
    null_share: tuple[float, float]
    """Before and now."""
    mean_shift: float | None = None
    """Difference of the means in standard deviations of before; of numbers."""
    median_shift: float | None = None
    """Difference of the medians in the same unit."""
    psi: float | None = None
    """Population stability index over the values that are present; not of moments, which move by nature."""
    psi_by_chance: float | None = None
    """What PSI is to be expected between two samples of these sizes of which nothing has moved."""
    new: tuple[str, ...] = ()
    """Categories of which there were none before."""
    vanished: tuple[str, ...] = ()
    """Categories of which there are none now."""
    before: ColumnProfile
    """What it is compared with, so that a report can be read without the one before it."""


class Comparison(Record):
    """How a snapshot differs from the one before."""

    snapshot_id: str
    """The one before."""
    rows: tuple[int, int]
    """Before and now."""
    columns: tuple[ColumnComparison, ...]
    """Those that both have, first what has moved most."""
    only_now: tuple[str, ...]
    only_before: tuple[str, ...]
    retyped: tuple[str, ...]
    """Columns whose type in the contract has changed; they are not compared."""


def compare(before: Profile, now: Profile, snapshot_id: str) -> Comparison:
    """Compare two profiles of a dataset's snapshots.

    Parameters
    ----------
    before, now : Profile
        Of the two snapshots.
    snapshot_id : str
        The one that ``before`` is of.
    """
    old = {column.name: column for column in before.columns}
    names = {column.name for column in now.columns}
    both = [(old[column.name], column) for column in now.columns if column.name in old]
    columns = [_compare(a, b, (before.rows, now.rows)) for a, b in both if a.type == b.type]
    return Comparison(
        snapshot_id=snapshot_id,
        rows=(before.rows, now.rows),
        columns=tuple(sorted(columns, key=lambda column: -column.score)),
        only_now=tuple(column.name for column in now.columns if column.name not in old),
        only_before=tuple(name for name in old if name not in names),
        retyped=tuple(b.name for a, b in both if a.type != b.type),
    )


def _compare(before: ColumnProfile, now: ColumnProfile, rows: tuple[int, int]) -> ColumnComparison:
    shares = (before.nulls / max(rows[0], 1), now.nulls / max(rows[1], 1))
    scores = [_null_score(shares, rows)]
    mean_shift, median_shift = _shift(before, now, before.mean, now.mean), None
    if mean_shift is not None:
        median_shift = _shift(before, now, before.quantiles["p50"], now.quantiles["p50"])
        error = math.sqrt(1 / before.values + 1 / now.values)
        scores.append(abs(mean_shift) / MEAN if abs(mean_shift) > _SURE * error else 0.0)
    psi, chance, error = _spread(before, now) or (None, None, 0.0)
    if psi is not None and chance is not None:
        scores.append((psi - chance) / PSI if psi - chance > _SURE * error else 0.0)
    score = max(scores)
    quiet: Literal["steady", "unknown"] = "unknown" if chance is not None and chance > MOST_CHANCE else "steady"
    return ColumnComparison(
        name=now.name,
        moved="much" if score >= 1 else "some" if score >= SOME else quiet,
        score=_rounded(score),
        null_share=(_rounded(shares[0]), _rounded(shares[1])),
        mean_shift=None if mean_shift is None else _rounded(mean_shift),
        median_shift=None if median_shift is None else _rounded(median_shift),
        psi=None if psi is None else _rounded(psi),
        psi_by_chance=None if chance is None else _rounded(chance),
        new=_only_in(now, before),
        vanished=_only_in(before, now),
        before=before,
    )


def _null_score(shares: tuple[float, float], rows: tuple[int, int]) -> float:
    difference = shares[1] - shares[0]
    pooled = (shares[0] * rows[0] + shares[1] * rows[1]) / max(sum(rows), 1)
    error = math.sqrt(pooled * (1 - pooled) * (1 / max(rows[0], 1) + 1 / max(rows[1], 1)))
    return abs(difference) / NULLS if abs(difference) > _SURE * error else 0.0


def _shift(before: ColumnProfile, now: ColumnProfile, old: object, new: object) -> float | None:
    """Return a difference in standard deviations of before; None where there is none to measure by."""
    if before.type in MOMENTS or not before.std or now.std is None:
        return None
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return None
    return new / before.std - old / before.std


def _spread(before: ColumnProfile, now: ColumnProfile) -> tuple[float, float, float] | None:
    """Return the PSI, its expectation by chance and the deviation of that; None where nothing can be compared."""
    if before.type in MOMENTS or not before.values or not now.values:
        return None
    listed = before.all_listed and now.all_listed
    if before.histogram is not None and now.histogram is not None and not listed:
        psi, cells = stability(before.histogram, now.histogram)
    else:
        e, a = _cells(before, now)
        if len(e) < 2 and not listed:
            return None
        psi, cells = population_stability_index(e, a), len(e)
    # Over 1/n + 1/m it tends to chi-squared, see `population_stability_index`.
    scale = 1 / before.values + 1 / now.values
    return psi, (cells - 1) * scale, math.sqrt(2 * (cells - 1)) * scale


def _cells(before: ColumnProfile, now: ColumnProfile) -> tuple[list[int], list[int]]:
    """Count both over the categories whose counts are known of both, and over all others as one cell."""
    e = {category.value: category.rows for category in before.categories}
    a = {category.value: category.rows for category in now.categories}
    known = [
        value
        for value in dict.fromkeys([*e, *a])
        if (value in e or before.all_listed) and (value in a or now.all_listed)
    ]
    expected, actual = [e.get(value, 0) for value in known], [a.get(value, 0) for value in known]
    others = before.values - sum(expected), now.values - sum(actual)
    return ([*expected, others[0]], [*actual, others[1]]) if any(others) else (expected, actual)


def _only_in(one: ColumnProfile, other: ColumnProfile) -> tuple[str, ...]:
    """Return the categories that are listed of one and surely none of the other's."""
    if not other.values or not other.all_listed:
        return ()
    known = {category.value for category in other.categories}
    return tuple(category.value for category in one.categories if category.value not in known)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
