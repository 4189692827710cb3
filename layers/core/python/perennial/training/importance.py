"""How much a model needs each feature: its loss once the feature's values are shuffled among the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from perennial.definitions import Task
from perennial.records import Record
from perennial.training.evaluation import metrics, more_is_better

Matrix = npt.NDArray[np.float64]
MOST_ROWS = 20_000
_MOST_SCORED = 5_000_000
"""Rows that are scored in all: with very many features, fewer rows are shuffled."""


class Importance(Record):
    """How much worse the metric becomes without what a feature says."""

    feature: str
    worsening: float
    """Mean over the repeats, in the metric's unit; about 0 where the model does without the feature."""
    spread: float
    """Standard deviation between the repeats."""


def permutation_importance(
    score: Callable[[Matrix], Matrix],
    features: Matrix,
    target: Matrix,
    names: Sequence[str],
    *,
    task: Task,
    metric: str,
    seed: int,
    repeats: int = 3,
) -> tuple[Importance, ...]:
    """Shuffle one feature after another (L. Breiman, *Random forests*, 2001), the most important first.

    Features that say the same stand in for one another: of two such, each may seem unimportant.

    Parameters
    ----------
    score : callable
        Features (n, number of features) to predictions.
    features, target : arrays
        Held-out rows; evenly spaced ones are used, 20,000 at most.
    names : sequence of str
        Of the features.

    Returns
    -------
    tuple of Importance
        Empty where the metric is undefined on these rows.
    """
    most = max(1, min(MOST_ROWS, _MOST_SCORED // max(1, len(names) * repeats)))
    rows = np.unique(np.linspace(0, len(target) - 1, min(most, len(target))).astype(np.int64))
    matrix, truth = features[rows].copy(), target[rows]
    sign = -1 if more_is_better(metric) else 1
    whole = metrics(truth, score(matrix), task).get(metric)
    if whole is None:
        return ()
    rng = np.random.default_rng(seed)
    found = []
    for place, name in enumerate(names):
        kept = matrix[:, place].copy()
        losses = []
        for _ in range(repeats):
            matrix[:, place] = kept[rng.permutation(len(kept))]
            losses.append(sign * (metrics(truth, score(matrix), task).get(metric, np.nan) - whole))
        matrix[:, place] = kept
        if np.isfinite(losses).all():
            mean, spread = float(np.mean(losses)), float(np.std(losses))
            found.append(Importance(feature=name, worsening=mean, spread=spread))
    return tuple(sorted(found, key=lambda each: -each.worsening))
