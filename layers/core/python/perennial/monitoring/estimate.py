"""Quality before labels come: what is estimated at training time, and the estimate of a window.

Of classes the metrics are expectations under calibrated chances (`expected_metrics`); of numbers the mean loss is
expected from the cells of features and prediction (`loss_model`). Neither sees a change of what the features mean for
the target: only labels do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from pydantic import Field

from perennial.definitions import Task
from perennial.metrics import metrics, more_is_better, row_losses
from perennial.monitoring.calibration import Calibrator, calibrator
from perennial.monitoring.expected_metrics import expected_metrics
from perennial.monitoring.laws import normal_tail
from perennial.monitoring.loss_model import LossModel, fit_loss_model
from perennial.records import Record

Values = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

LEAST_ROWS = 500
"""Held-out rows below which there is no estimator: its error could not be told."""
_SHORT, _LONG = 50, 10
"""How many blocks of held-out rows the error of an estimate is measured on, short ones and long ones."""
_FEWEST_ROWS = 50
_BAND = 1.959963984540054
"""Standard deviations on either side of an estimate: 95 % of a normal law."""


class EstimateError(Record):
    r"""How far estimates are from what labels say, by the rows of a window: :math:`s^2 / n + e`.

    The first part is chance, which rows even out; the second is what consecutive stretches differ by beyond it.
    """

    of_a_row: float = Field(ge=0)
    """s, in the metric's unit."""
    of_a_stretch: float = Field(ge=0)
    """The square root of e."""

    def at(self, rows: int) -> float:
        """Return the standard deviation for a window of so many rows, at least one."""
        return math.sqrt(self.of_a_row**2 / rows + self.of_a_stretch**2)


class Estimator(Record):
    """What estimates a version's quality, learnt from its held-out rows."""

    task: Task
    metric: str
    """The model's metric."""
    rows: int
    """Held-out rows."""
    reference: float | None
    """The metric on them, by their labels; None where it cannot be told."""
    calibrators: tuple[Calibrator, ...] = ()
    """Of classes: one of a binary model, else one for each class."""
    loss: LossModel
    """Of the metric where it is a mean over rows; else of the log loss."""
    loss_metric: str
    """What ``loss`` is of; ``rmse`` means squared errors."""
    error: EstimateError | None = None
    """None where the estimate cannot be compared with labels."""


class Estimated(Record):
    """The estimated quality of a window."""

    metric: str
    value: float
    low: float
    high: float
    """With ``low``, where the metric by labels lies with a probability of 95 % unless the features' meaning changed."""
    reference: float
    """The metric on the held-out rows."""
    chance: float
    """How likely an estimate at least this much worse is where nothing has moved."""


def make_estimator(
    cells: Mapping[str, Integers],
    groups: Mapping[str, Sequence[int]],
    predictions: Values,
    target: Values,
    task: Task,
    metric: str,
) -> Estimator | None:
    """Learn to estimate a metric from the held-out rows, by rising event time.

    Parameters
    ----------
    cells, groups : mappings
        As `perennial.monitoring.loss_model.fit_loss_model` takes them: features and the prediction.
    predictions : float64 array of shape (n,) or (n, number of classes)
        Numbers, probabilities of true, or probabilities.
    target : float64 array of shape (n,)

    Returns
    -------
    Estimator or None
        None with fewer than `LEAST_ROWS` rows, or where a prediction is not a finite number.
    """
    if len(target) < LEAST_ROWS or not np.isfinite(predictions).all():
        return None
    losses, loss_metric = row_losses(metric, target, predictions, task), metric
    if losses is None:
        loss_metric = "mae" if task == "regression" else "log_loss"
        losses = row_losses(loss_metric, target, predictions, task)
    assert losses is not None, "these are means over rows"
    loss, expected = fit_loss_model(cells, groups, losses)
    calibrators = _calibrators(predictions, target, task)

    def on(rows: slice) -> float | None:
        by_labels = metrics(target[rows], predictions[rows], task).get(metric)
        if task == "regression":
            estimate = _from_losses(float(expected[rows].mean()), metric, loss_metric)
        else:
            estimate = expected_metrics(calibrators, predictions[rows], task).get(metric)
        return None if by_labels is None or estimate is None else estimate - by_labels

    return Estimator(
        task=task,
        metric=metric,
        rows=len(target),
        reference=metrics(target, predictions, task).get(metric),
        calibrators=calibrators,
        loss=loss,
        loss_metric=loss_metric,
        error=_error(on, len(target)),
    )


def estimate(
    estimator: Estimator, counts: Mapping[str, Integers], rows: int, scores: Values | None = None
) -> Estimated | None:
    """Estimate the metric over a window.

    Parameters
    ----------
    counts : mapping
        Column to the window's counts of its histogram's cells.
    rows : int
        Of the window.
    scores : float64 array, optional
        Of classes the window's probabilities, of shape (n,) or (n, number of classes).

    Returns
    -------
    Estimated or None
        None if it cannot be told: of no rows, of ``r2``, of classes without their probabilities.
    """
    if estimator.reference is None or estimator.error is None or rows == 0:
        return None
    if estimator.task == "regression":
        value = _from_losses(estimator.loss.expected(counts), estimator.metric, estimator.loss_metric)
    elif scores is None or len(scores) == 0:
        return None
    else:
        value = expected_metrics(estimator.calibrators, scores, estimator.task).get(estimator.metric)
    if value is None:
        return None
    deviation = estimator.error.at(rows)
    worse = estimator.reference - value if more_is_better(estimator.metric) else value - estimator.reference
    spread = math.hypot(deviation, estimator.error.at(estimator.rows))
    return Estimated(
        metric=estimator.metric,
        value=value,
        low=value - _BAND * deviation,
        high=value + _BAND * deviation,
        reference=estimator.reference,
        chance=normal_tail(worse / spread) if spread > 0 else float(worse <= 0),
    )


def _calibrators(predictions: Values, target: Values, task: Task) -> tuple[Calibrator, ...]:
    if task == "regression":
        return ()
    if task == "binary":
        return (calibrator(predictions, target == 1),)
    return tuple(calibrator(predictions[:, place], target == place) for place in range(predictions.shape[1]))


def _from_losses(mean: float, metric: str, loss_metric: str) -> float | None:
    """Return a metric from the mean of its row losses; None of one that is no such mean."""
    if metric != loss_metric:
        return None
    return math.sqrt(max(mean, 0.0)) if metric == "rmse" else mean


def _error(difference: Callable[[slice], float | None], rows: int) -> EstimateError | None:
    """Measure how far estimates are from labels on short and on long blocks of consecutive rows."""
    short, long = max(rows // _SHORT, _FEWEST_ROWS), rows // _LONG
    on_short, on_long = (_mean_square(difference, rows, length) for length in (short, long))
    if on_short is None or on_long is None:
        return None
    # Between two lengths the part that rows even out and the part that they do not are two unknowns.
    of_a_row = max((on_short - on_long) / (1 / short - 1 / long), 0.0) if short < long else on_long * long
    excess = max(on_long - of_a_row / long, 0.0)
    return EstimateError(of_a_row=math.sqrt(of_a_row), of_a_stretch=math.sqrt(excess))


def _mean_square(difference: Callable[[slice], float | None], rows: int, length: int) -> float | None:
    found = [difference(slice(start, start + length)) for start in range(0, rows - length + 1, length)]
    squares = [one**2 for one in found if one is not None]
    return float(np.mean(squares)) if len(squares) >= min(_LONG, len(found)) // 2 + 1 else None
