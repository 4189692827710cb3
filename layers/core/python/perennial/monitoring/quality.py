"""Quality: how wrong predictions turned out to be."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

LARGEST_RATIO = 1e6
"""Large enough for any alarm, small enough for every store."""

Values = npt.NDArray[np.float64]


def measure(metric: str, labels: Values, predictions: Values) -> float:
    """Measure predictions against what turned out to be true.

    Parameters
    ----------
    metric : {"mae", "rmse"}
        Mean absolute error, or root of the mean squared error.
    labels, predictions : float64 arrays of shape (n,), n > 0
        In the target's unit.

    Returns
    -------
    float
        In the target's unit; smaller is better.

    Raises
    ------
    ValueError
        There is no such metric, or no row.
    """
    if len(labels) == 0:
        raise ValueError("a metric needs at least one row")
    errors = predictions - labels
    if metric == "mae":
        return float(np.mean(np.abs(errors)))
    if metric == "rmse":
        return float(np.sqrt(np.mean(np.square(errors))))
    raise ValueError(f"there is no metric {metric!r}; there are mae and rmse")


def ratio_to(reference: float, measured: float) -> float:
    """Divide a metric by the one on the held-out rows; 1 means "as good as promised", more is worse.

    Never above ``LARGEST_RATIO``, which is also the answer to any error of a model that had made none.
    """
    if measured == 0:
        return 0.0 if reference else 1.0
    return min(measured / reference, LARGEST_RATIO) if reference else LARGEST_RATIO
