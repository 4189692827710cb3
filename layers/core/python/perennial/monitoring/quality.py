"""Quality: how wrong predictions turned out to be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from perennial.definitions import METRICS, Task
from perennial.metrics import metrics, more_is_better

LARGEST_RATIO = 1e6
"""Large enough for any alarm, small enough for every store."""

Values = npt.NDArray[np.float64]


def measure(metric: str, labels: Values, predictions: Values, task: Task = "regression") -> float | None:
    """Measure predictions against what turned out to be true.

    Parameters
    ----------
    metric : str
        One of the task's in `perennial.definitions.METRICS`.
    labels : float64 array of shape (n,), n > 0
        In the target's unit; 0 or 1; or the place of a class.
    predictions : float64 array of shape (n,), of the task ``multiclass`` (n, number of classes)
        In the target's unit, or probabilities.
    task : str
        What was predicted.

    Returns
    -------
    float or None
        As `perennial.metrics.metrics` has it; None where it cannot be told, as ``roc_auc`` of one class alone.

    Raises
    ------
    ValueError
        There is no such metric, or no row.
    """
    if len(labels) == 0:
        raise ValueError("a metric needs at least one row")
    if metric not in METRICS[task]:
        raise ValueError(f"there is no metric {metric!r} of a {task} model; there are {', '.join(METRICS[task])}")
    return metrics(labels, predictions, task).get(metric)


def worsening(metric: str, reference: float, measured: float) -> float:
    """Say how many times worse a metric is than on the held-out rows; 1 means "as good as promised", more is worse.

    Of an error it is ``measured / reference``. Of a score, of which more is better and 1 is all, what is missing to 1
    is the error: ``(1 - measured) / (1 - reference)``. An accuracy of 0.9 that fell to 0.8 is twice as bad: twice as
    many rows are wrong.
    """
    if more_is_better(metric):
        return ratio_to(1 - reference, 1 - measured)
    return ratio_to(reference, measured)


def ratio_to(reference: float, measured: float) -> float:
    """Divide an error by the one on the held-out rows; 1 means "as good as promised", more is worse.

    Never above ``LARGEST_RATIO``, which is also the answer to any error of a model that had made none.
    """
    if measured == 0:
        return 0.0 if reference else 1.0
    return min(measured / reference, LARGEST_RATIO) if reference else LARGEST_RATIO
