"""How far predictions are from what came true, and which candidate is best: numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perennial.errors import DataError
from perennial.metrics import metrics, more_is_better, row_losses

__all__ = ["best", "metrics", "more_is_better", "parity_error", "row_losses"]

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]


def parity_error(expected: Vector, actual: Vector) -> float:
    """Return the largest ``|actual - expected| / max(1, |expected|)`` over all rows; 0 when there are none.

    Raises
    ------
    DataError
        A value is a finite number in one of them only: no difference can be given.
    """
    finite = np.isfinite(expected)
    differing = int(np.count_nonzero(finite != np.isfinite(actual)))
    if differing:
        raise DataError(
            f"export: the ONNX model and the estimator disagree on whether {differing} of {expected.size} "
            "predictions are finite; choose parameters that keep the predictions finite"
        )
    scale = np.maximum(1.0, np.abs(expected[finite]))
    return float(np.max(np.abs(actual[finite] - expected[finite]) / scale, initial=0.0))


def aligned(prediction: Matrix, classes: Sequence[str], wanted: Sequence[str]) -> Matrix:
    """Return probabilities (n, classes) as those of other classes (n, wanted): 0 for one that was never learnt."""
    places = {name: place for place, name in enumerate(classes)}
    found = np.zeros((len(prediction), len(wanted)))
    for place, name in enumerate(wanted):
        if name in places:
            found[:, place] = prediction[:, places[name]]
    return found


def best(candidates: dict[str, dict[str, float]], metric: str) -> str:
    """Return the name of the candidate with the best metric; the first of equals, those without one last."""
    sign = -1 if more_is_better(metric) else 1
    return min(candidates, key=lambda name: sign * candidates[name].get(metric, sign * np.inf))
