"""Metrics of classes before labels come: their expectation, each row counting for every class by its chance.

Confidence-based performance estimation (J. Bialek and others, *Estimating model performance under covariate shift
without labels*, 2024): a row whose calibrated chance is 0.8 is 0.8 of a row that came true and 0.2 of one that did not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from perennial.definitions import Task
from perennial.monitoring.calibration import Calibrator
from perennial.ranking import average_precision, roc_auc

Values = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
_SMALLEST = 1e-15


def expected_metrics(calibrators: Sequence[Calibrator], scores: Values, task: Task) -> dict[str, float]:
    """Return the metrics of `perennial.definitions.METRICS` that are to be expected.

    Parameters
    ----------
    calibrators : sequence of Calibrator
        One for ``binary``, else one for each class.
    scores : float64 array
        Of ``binary`` of shape (n,), the probability of true; else (n, number of classes); n > 0.
    """
    if task == "binary":
        return _of_two_classes(calibrators[0](scores), scores)
    columns = [calibrator(scores[:, place]) for place, calibrator in enumerate(calibrators)]
    chances = np.stack(columns, axis=1)
    total = chances.sum(axis=1, keepdims=True)
    chances = np.where(total > 0, chances / np.where(total > 0, total, 1.0), 1 / len(calibrators))
    return _of_classes(chances, scores)


def _of_two_classes(chances: Values, scores: Values) -> dict[str, float]:
    said = scores > 0.5
    clipped = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    hits, misses = float(chances[said].sum()), float(chances[~said].sum())
    found = {
        "log_loss": float(-np.mean(chances * np.log(clipped) + (1 - chances) * np.log(1 - clipped))),
        "brier": float(np.mean(chances * (1 - scores) ** 2 + (1 - chances) * scores**2)),
        "accuracy": float(np.mean(np.where(said, chances, 1 - chances))),
        "f1": _f1(hits, float(said.sum()), hits + misses),
    }
    return found | _of_ranking(chances, scores)


def _of_classes(chances: Matrix, scores: Matrix) -> dict[str, float]:
    said = np.argmax(scores, axis=1)
    rows, classes = scores.shape
    found = {
        "log_loss": float(-np.sum(chances * np.log(np.clip(scores, _SMALLEST, 1))) / rows),
        "accuracy": float(np.mean(chances[np.arange(rows), said])),
    }
    areas, scored = [], []
    for place in range(classes):
        chosen, true = float(np.count_nonzero(said == place)), float(chances[:, place].sum())
        if chosen + true > 0:
            scored.append(_f1(float(chances[said == place, place].sum()), chosen, true))
        areas.append(_of_ranking(chances[:, place], scores[:, place]).get("roc_auc"))
    found["macro_f1"] = float(np.mean(scored))
    known = [area for area in areas if area is not None]
    if len(known) == classes:
        found["macro_roc_auc"] = float(np.mean(known))
    return found


def _of_ranking(chances: Values, scores: Values) -> dict[str, float]:
    if not 0 < chances.sum() < len(chances):
        return {}
    true = np.repeat([True, False], len(scores))
    twice, weight = np.concatenate([scores, scores]), np.concatenate([chances, 1 - chances])
    return {
        "roc_auc": roc_auc(true, twice, weight),
        "average_precision": average_precision(true, twice, weight),
    }


def _f1(hits: float, chosen: float, true: float) -> float:
    return 2 * hits / (chosen + true) if chosen + true > 0 else 0.0
