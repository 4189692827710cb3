"""What a monitoring report says: plain figures, of which the JSON and the page are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt

from perennial.monitoring.baseline import Baseline, ColumnBaseline
from perennial.monitoring.change_points import Change, change_points
from perennial.monitoring.estimate import Estimated
from perennial.monitoring.root_causes import Causes
from perennial.monitoring.signals import Signal
from perennial.monitoring.window import PREDICTION, RECONSTRUCTION
from perennial.records import Assessment, Record
from perennial.reporting.words import number

Integers = npt.NDArray[np.int64]
FEWEST = 20
"""Rows, or labels, of a day below which it is no point of a series."""


class Day(Record):
    """What a version answered on one day, by event time."""

    day: date
    rows: int
    labelled: int
    """Predictions of that day whose label has come."""
    final: bool
    """Whether labels are not waited for any more."""
    performance: float | None
    """The metric by labels; None with too few of them."""
    estimated: float | None
    """The metric as estimated without labels."""
    places: dict[str, float]
    """Feature, or ``prediction``, to where its values lay: see `place_of`."""


class Since(Record):
    """Since when a series is what it is."""

    subject: str
    """A feature, ``prediction`` or ``performance``."""
    day: date
    before: float
    after: float
    chance: float
    """How likely so clear a change is, anywhere in the series, where there is none."""


class Bin(Record):
    """A stretch of a column's values, or a category."""

    label: str
    learnt: float
    """Share of the training rows; of predictions, of the held-out rows."""
    seen: float
    """Share of the window's rows."""


class Shape(Record):
    """A column's distribution, learnt and seen."""

    subject: str
    bins: tuple[Bin, ...]


class MonitoringReport(Record):
    """All that a look found (``reports/monitoring/<model>/<version>/<moment>.json``)."""

    format: int = 1
    metric: str
    promised: float | None
    """The metric on the held-out rows."""
    level: float
    """False-alarm rate of the look."""
    assessment: Assessment
    signals: tuple[Signal, ...]
    """All comparisons, the least likely first."""
    estimated: Estimated | None
    causes: Causes | None
    """The columns by how much they explain of the change of the mean loss."""
    loss: str
    """What ``causes`` are told in."""
    days: tuple[Day, ...]
    """The latest days, by rising time; labels in whatever order they came make the same figures."""
    unknown_labels: int
    """Of these days, labels for predictions that are not in the log."""
    repeated_labels: int
    """Labels that said again, or corrected, what another one had said."""
    since: tuple[Since, ...]
    shapes: tuple[Shape, ...]
    """Of what moved; else of what came nearest to it."""
    calls: tuple[int, ...] = ()
    """Rows of each 24 hours, the latest first; empty where nobody counted."""


def place_of(column: ColumnBaseline, counts: Integers) -> float | None:
    """Return where a column's values lie among the learnt ones: 0.5 as then, 1 above all of them; None without values.

    It is the mean rank: the chance that a learnt value is below one of these, ties shared. Categories stand in the
    order of their places.
    """
    learnt = np.asarray(column.histogram.counts[:-1], dtype=np.float64)
    seen = counts[:-1]
    if seen.sum() == 0 or learnt.sum() == 0:
        return None
    below = (np.cumsum(learnt) - learnt / 2) / learnt.sum()
    return float(seen @ below / seen.sum())


def since_when(days: Sequence[Day], subjects: Sequence[str], level: float) -> tuple[Since, ...]:
    """Find since when each subject, and the performance, is what it is, by their change points over the days."""
    found = []
    for subject in [*subjects, "performance"]:
        points = [(day, value, weight) for day in days if (value := _value(day, subject)) is not None
                  and (weight := day.labelled if subject == "performance" else day.rows) >= FEWEST]  # fmt: skip
        changes = change_points([value for _, value, _ in points], [float(w) for _, _, w in points], level)
        if changes:
            found.append(_since(subject, points[changes[-1].place][0].day, changes[-1]))
    return tuple(found)


def shapes_of(
    baseline: Baseline, counts: Mapping[str, Integers], subjects: Sequence[str], categories: Mapping[str, Sequence[str]]
) -> tuple[Shape, ...]:
    """Return the distributions of some columns, learnt and seen, in the cells in which they are compared."""
    columns = {**baseline.columns, PREDICTION: baseline.prediction}
    if baseline.reconstruction_error is not None:
        columns[RECONSTRUCTION] = baseline.reconstruction_error
    return tuple(
        Shape(subject=name, bins=_bins(columns[name], counts[name], categories.get(name, ())))
        for name in subjects
        if name in counts
    )


def _bins(column: ColumnBaseline, seen: Integers, names: Sequence[str]) -> tuple[Bin, ...]:
    learnt, groups = np.asarray(column.histogram.counts), np.asarray(column.groups)
    cells = {_label(column, groups == group, names): groups == group for group in range(groups.max(initial=-1) + 1)}
    places = np.arange(len(groups))
    cells["unknown"] = (groups == -1) & (places < len(groups) - 1)
    cells["missing"] = places == len(groups) - 1
    shares = [
        (label, float(learnt[inside].sum() / max(learnt.sum(), 1)), float(seen[inside].sum() / max(seen.sum(), 1)))
        for label, inside in cells.items()
    ]
    return tuple(Bin(label=label, learnt=then, seen=now) for label, then, now in shares if then or now)


def _label(column: ColumnBaseline, inside: npt.NDArray[np.bool_], names: Sequence[str]) -> str:
    """Say what a cell of comparison holds."""
    edges, last = column.histogram.edges, len(inside) - 2
    cells = [int(cell) for cell in np.flatnonzero(inside) if 0 < cell < last]
    if not cells:
        return number(edges[0]) if edges else "any"
    if column.kind == "category":
        text = names[cells[0] - 1] if cells[0] <= len(names) else number(edges[cells[0] - 1])
        return text if len(cells) == 1 else f"{len(cells)} others"
    low, high = number(edges[cells[0] - 1], 3), number(edges[cells[-1]], 3)
    return low if low == high else f"{low} to {high}"


def _value(day: Day, subject: str) -> float | None:
    return day.performance if subject == "performance" else day.places.get(subject)


def _since(subject: str, day: date, change: Change) -> Since:
    return Since(subject=subject, day=day, before=change.before, after=change.after, chance=change.chance)
