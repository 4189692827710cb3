"""Root causes: which features explain that quality changed, and where in them it got worse."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from perennial.monitoring.loss_model import LossModel
from perennial.records import Record

Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


class Cause(Record):
    """What one column has to do with a change of the mean loss."""

    subject: str
    """The feature, or the prediction."""
    shifted: float
    """What the shift of its distribution adds to the mean loss, in the loss's unit: known before labels come."""
    share: float | None
    """That over the whole change of the mean loss; None without labels, or without a change."""
    found: float | None = None
    """By labels: how much of the loss that no shift explains differs between its cells, as a root mean square."""
    worst: int | None = None
    """By labels: the cell of its histogram to which most of the unexplained loss belongs."""
    worst_excess: float | None = None
    """Mean loss in that cell above what was expected there."""


class Causes(Record):
    """A change of the mean loss, taken apart."""

    reference: float
    """Mean loss on the held-out rows."""
    expected: float
    """Mean loss of the window as the shifts of its columns alone would make it."""
    measured: float | None
    """Mean loss of the window by labels; None without them."""
    unexplained: float | None
    """``measured`` less ``expected``: what the features mean for the target has changed, or their combinations have."""
    causes: tuple[Cause, ...]
    """By how much they explain, the most first."""


def causes_before_labels(model: LossModel, counts: Mapping[str, Integers]) -> Causes:
    """Rank columns by what their shifts add to the mean loss of a window.

    Parameters
    ----------
    counts : mapping
        Column to the window's counts of its histogram's cells.
    """
    parts = model.parts(counts)
    causes = [Cause(subject=name, shifted=part, share=None) for name, part in parts.items()]
    return Causes(
        reference=model.mean,
        expected=model.mean + sum(parts.values()),
        measured=None,
        unexplained=None,
        causes=tuple(sorted(causes, key=lambda cause: -abs(cause.shifted))),
    )


def causes_of(model: LossModel, cells: Mapping[str, Integers], losses: Values) -> Causes:
    """Rank columns by how much of the change of the mean loss they explain.

    The change is the sum of each column's shift and of what no shift explains. The latter is looked for in cells: a
    column in whose cells the loss exceeds the expected one unevenly is where the world changed. What cells would
    differ by through chance alone is taken off.

    Parameters
    ----------
    cells : mapping
        Column to the histogram cell of each labelled row of the window, int64 of shape (n,), n > 0.
    losses : float64 array of shape (n,)
        What the model was fitted to: see `perennial.monitoring.estimate.Estimator.loss_metric`.
    """
    counts = {name: np.bincount(cells[name], minlength=len(terms)) for name, terms in model.terms.items()}
    parts = model.parts(counts)
    expected = np.full(len(losses), model.mean)
    for name, terms in model.terms.items():
        each = np.array(terms)
        expected += each[cells[name]] - float(np.array(model.shares[name]) @ each)
    measured = float(losses.mean())
    change = measured - model.mean
    excess = losses - expected
    causes = []
    for name, part in parts.items():
        found, worst, worst_excess = _unevenness(cells[name], excess, len(model.terms[name]))
        causes.append(
            Cause(
                subject=name,
                shifted=part,
                share=part / change if change else None,
                found=found,
                worst=worst,
                worst_excess=worst_excess,
            )
        )
    return Causes(
        reference=model.mean,
        expected=model.mean + sum(parts.values()),
        measured=measured,
        unexplained=change - sum(parts.values()),
        causes=tuple(sorted(causes, key=lambda cause: -max(abs(cause.shifted), cause.found or 0.0))),
    )


def _unevenness(cells: Integers, excess: Values, number: int) -> tuple[float, int, float]:
    """Return the spread of the mean excess between cells beyond chance, and the cell that most of it belongs to."""
    rows = np.bincount(cells, minlength=number)
    held = rows > 0
    sums = np.bincount(cells, excess, minlength=number)
    means = np.divide(sums, rows, out=np.zeros(number), where=held)
    between = float(rows @ (means - excess.mean()) ** 2) / len(excess)
    by_chance = float(np.var(excess)) * (int(np.count_nonzero(held)) - 1) / len(excess)
    worst = int(np.argmax(sums))
    return math.sqrt(max(between - by_chance, 0.0)), worst, float(means[worst])
