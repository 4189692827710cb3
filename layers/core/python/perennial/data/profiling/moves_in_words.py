"""What has moved in a column, in sentences."""

from __future__ import annotations

from perennial.data.profiling.comparison import MEAN, NULLS, PSI, SOME, ColumnComparison
from perennial.data.profiling.profile import ColumnProfile
from perennial.reporting.words import cut, listing, number, share


def moves(column: ColumnComparison, now: ColumnProfile) -> list[str]:
    """Return what there is to say of how a column has moved; nothing when it has not.

    Parameters
    ----------
    column : ColumnComparison
        How it has moved, and what it was.
    now : ColumnProfile
        What it is.
    """
    before = column.before
    if not now.values and not before.values:
        return []
    if not before.values:
        return [f"Was empty, now has values in {share(1 - column.null_share[1])} of the rows."]
    if not now.values:
        return [f"Is empty now, before in {share(column.null_share[0])} of the rows."]
    found = []
    if abs(column.null_share[1] - column.null_share[0]) >= SOME * NULLS:
        found.append(f"Empty in {share(column.null_share[1])} of the rows, before in {share(column.null_share[0])}.")
    if column.mean_shift is not None and abs(column.mean_shift) >= SOME * MEAN:
        way = "up" if column.mean_shift > 0 else "down"
        found.append(
            f"The mean went {way} from {_shown(before.mean)} to {_shown(now.mean)}, by "
            f"{number(abs(column.mean_shift), 2)} standard deviations."
        )
    if column.moved in ("much", "some"):
        if column.psi is not None and column.psi - (column.psi_by_chance or 0.0) >= SOME * PSI:
            found.append(_spread(before, now))
        found.extend(_range(before, now))
    if column.new:
        found.append(f"New: {listing([label(now, value) for value in column.new])}.")
    if column.vanished:
        found.append(f"No longer there: {listing([label(now, value) for value in column.vanished])}.")
    return found


def label(column: ColumnProfile, value: str) -> str:
    """Write a category for people: numbers as numbers, texts as they are."""
    return number(float(value)) if column.histogram else cut(value, 40) or "(empty text)"


def _spread(before: ColumnProfile, now: ColumnProfile) -> str:
    """Say what of a column's values is different: the category that changed most, or the middle half."""
    if now.categories and before.categories:
        old = {category.value: category.rows / before.values for category in before.categories}
        new = {category.value: category.rows / now.values for category in now.categories}
        most = max([*old, *new], key=lambda value: abs(new.get(value, 0) - old.get(value, 0)))
        return f"{label(now, most)} makes up {share(new.get(most, 0))} of the values, before {share(old.get(most, 0))}."
    if now.quantiles and before.quantiles:
        half, was = ([_shown(each.quantiles[name]) for name in ("p25", "p75")] for each in (now, before))
        return f"The middle half lies between {half[0]} and {half[1]}, before between {was[0]} and {was[1]}."
    return "The values are spread differently."


def _range(before: ColumnProfile, now: ColumnProfile) -> list[str]:
    old, new = (before.min, before.max), (now.min, now.max)
    if old == new or any(isinstance(end, str) or end is None for end in (*old, *new)):
        return []
    return [f"Range {_shown(new[0])} to {_shown(new[1])}, before {_shown(old[0])} to {_shown(old[1])}."]


def _shown(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value)
