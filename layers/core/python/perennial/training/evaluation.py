"""How far predictions are from what came true: numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perennial.definitions import METRICS, Task
from perennial.errors import DataError
from perennial.training.ranking import average_precision, roc_auc

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
_SMALLEST = 1e-15
"""Probabilities are kept this far from 0 and 1, so that one sure mistake does not make a log loss infinite."""


def metrics(target: Vector, prediction: Vector, task: Task = "regression") -> dict[str, float]:
    """Compare predictions with the truth.

    Parameters
    ----------
    target : array of float64, shape (n,), n > 0
        A number in the target's unit; 0 or 1; or the place of a class.
    prediction : array of float64
        Of a regression shape (n,), in the target's unit; ``binary``: shape (n,), the probability of 1; ``multiclass``:
        shape (n, number of classes), probabilities.
    task : str
        What was predicted.

    Returns
    -------
    dict
        ``n`` (rows) and, of a regression, ``mae``, ``rmse`` and ``bias`` (mean of prediction minus target) in the
        target's unit, and ``r2``, the share of the target's variance that is explained (for a target that does not
        vary 1 when every prediction is right, else 0). Of classes, the metrics of `perennial.definitions.METRICS`, as
        scikit-learn defines them; ``roc_auc`` and its like are missing where one class alone is there. When a
        prediction is not a finite number: ``n`` and ``not_finite`` (rows) alone, for no mean over the rest is honest.

    Raises
    ------
    DataError
        There are no rows.
    """
    if len(target) == 0:
        raise DataError("evaluation: there are no rows to compare; widen the split's holdout")
    count = {"n": float(len(target))}
    not_finite = int(np.count_nonzero(~np.isfinite(prediction).reshape(len(target), -1).all(axis=1)))
    if not_finite:
        return {**count, "not_finite": float(not_finite)}
    measured = {"regression": _of_numbers, "binary": _of_two_classes, "multiclass": _of_classes}[task]
    return {**count, **measured(target, prediction)}


def row_losses(metric: str, target: Vector, prediction: Vector, task: Task) -> Vector | None:
    """Return each row's part in a metric that is a mean over rows (``rmse``: of squares), float64 of shape (n,).

    None if the metric is no such mean, as ``roc_auc`` is not.
    """
    if task == "regression":
        error = prediction - target
        return {"mae": np.abs(error), "rmse": error**2}.get(metric)
    if task == "binary":
        said, true = np.clip(prediction, _SMALLEST, 1 - _SMALLEST), target == 1
        losses = {
            "log_loss": -np.log(np.where(true, said, 1 - said)),
            "brier": (prediction - target) ** 2,
            "accuracy": ((prediction > 0.5) == true).astype(np.float64),
        }
        return losses.get(metric)
    right = np.clip(_of_true_class(target, prediction), _SMALLEST, 1)
    hits = (np.argmax(prediction, axis=1) == target).astype(np.float64)
    return {"log_loss": -np.log(right), "accuracy": hits}.get(metric)


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


def more_is_better(metric: str) -> bool:
    """Tell whether more of a metric is better."""
    return any(known.get(metric, False) for known in METRICS.values())


def _of_numbers(target: Vector, prediction: Vector) -> dict[str, float]:
    error = prediction - target
    squares = float(np.sum(error**2))
    spread = float(np.sum((target - target.mean()) ** 2))
    explained = 1.0 - squares / spread if spread > 0 else float(squares == 0)
    return {
        "mae": float(np.mean(np.abs(error))),
        "rmse": float(np.sqrt(squares / len(target))),
        "bias": float(np.mean(error)),
        "r2": explained,
    }


def _of_two_classes(target: Vector, prediction: Vector) -> dict[str, float]:
    true, said = target == 1, prediction > 0.5
    found = {name: _mean(name, target, prediction, "binary") for name in ("log_loss", "brier", "accuracy")}
    found["f1"] = _f1(true, said)
    if 0 < true.sum() < len(true):
        found |= {"roc_auc": roc_auc(true, prediction), "average_precision": average_precision(true, prediction)}
    return found


def _of_classes(target: Vector, prediction: Matrix) -> dict[str, float]:
    found = {name: _mean(name, target, prediction, "multiclass") for name in ("log_loss", "accuracy")}
    said = np.argmax(prediction, axis=1)
    present = sorted({*np.unique(target).astype(int).tolist(), *np.unique(said).tolist()})
    found["macro_f1"] = float(np.mean([_f1(target == place, said == place) for place in present]))
    if all(0 < np.count_nonzero(target == place) < len(target) for place in range(prediction.shape[1])):
        areas = [roc_auc(target == place, prediction[:, place]) for place in range(prediction.shape[1])]
        found["macro_roc_auc"] = float(np.mean(areas))
    return found


def _mean(metric: str, target: Vector, prediction: Vector, task: Task) -> float:
    losses = row_losses(metric, target, prediction, task)
    assert losses is not None, "these are means"
    return float(np.mean(losses))


def _of_true_class(target: Vector, prediction: Matrix) -> Vector:
    return np.asarray(prediction[np.arange(len(target)), target.astype(np.int64)], dtype=np.float64)


def _f1(true: npt.NDArray[np.bool_], said: npt.NDArray[np.bool_]) -> float:
    both = int(np.count_nonzero(true & said))
    either = int(np.count_nonzero(true)) + int(np.count_nonzero(said))
    return 2 * both / either if either else 0.0
