"""How far predictions are from what came true: numpy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from perennial.errors import DataError

Vector = npt.NDArray[np.float64]


def metrics(target: Vector, prediction: Vector) -> dict[str, float]:
    """Compare predictions with the truth.

    Parameters
    ----------
    target, prediction : array of float64, shape (n,), n > 0
        In the target's unit.

    Returns
    -------
    dict
        ``n`` (rows); ``mae``, ``rmse`` and ``bias`` (mean of prediction minus target) in the target's unit; ``r2``,
        the share of the target's variance that is explained (for a target that does not vary 1 when every prediction
        is right, else 0). When a prediction is not a finite number: ``n`` and ``not_finite`` (rows) alone, for no
        mean over the rest would be honest.

    Raises
    ------
    DataError
        There are no rows.
    """
    if len(target) == 0:
        raise DataError("evaluation: there are no rows to compare; widen the split's holdout")
    not_finite = int(np.count_nonzero(~np.isfinite(prediction)))
    if not_finite:
        return {"n": float(len(target)), "not_finite": float(not_finite)}
    error = prediction - target
    squares = float(np.sum(error**2))
    spread = float(np.sum((target - target.mean()) ** 2))
    explained = 1.0 - squares / spread if spread > 0 else float(squares == 0)
    return {
        "n": float(len(target)),
        "mae": float(np.mean(np.abs(error))),
        "rmse": float(np.sqrt(squares / len(target))),
        "bias": float(np.mean(error)),
        "r2": explained,
    }


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
            f"export: the ONNX model and the estimator disagree on whether {differing} of {len(expected)} "
            "predictions are finite; choose parameters that keep the predictions finite"
        )
    scale = np.maximum(1.0, np.abs(expected[finite]))
    return float(np.max(np.abs(actual[finite] - expected[finite]) / scale, initial=0.0))


def best(candidates: dict[str, dict[str, float]], metric: str) -> str:
    """Return the name of the candidate with the smallest metric; the first of equals, those without one last."""
    return min(candidates, key=lambda name: candidates[name].get(metric, np.inf))
