"""Every metric on each resample of the held-out rows, without going through the rows for each of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from perennial.definitions import Task
from perennial.training.bootstrap import Resamples, interval
from perennial.training.evaluation import row_losses
from perennial.training.ranking import average_precision, roc_auc

Vector = npt.NDArray[np.float64]
Truth = npt.NDArray[np.bool_]
_BINS = 2048
"""Most distinct scores that are told apart on resamples; half as many bins lie between quantiles of each class."""


def resampled(metric: str, target: Vector, prediction: Vector, task: Task, draws: Resamples) -> Vector:
    """Return a metric on each resample, float64 of shape (resamples,); NaN where it is undefined.

    Metrics of ranking see scores in 2048 bins at most; the resamples are moved by what that changes on the rows
    themselves, so that they lie about the exact value.

    Parameters
    ----------
    metric : str
        One of the task's (`perennial.definitions.METRICS`), or ``bias``.
    target, prediction : arrays
        As in `perennial.training.evaluation.metrics`.
    draws : Resamples
        Of the same rows; with no blocks the result is empty.
    """
    if draws.blocks == 0:
        return np.empty(0)
    losses = row_losses(metric, target, prediction, task)
    if losses is not None:
        means = _ratio(draws.sums(losses), draws.counts())
        return np.sqrt(means) if metric == "rmse" else means
    if task == "regression":
        return _bias(target, prediction, draws) if metric == "bias" else _explained(target, prediction, draws)
    if task == "binary":
        if metric == "f1":
            return _f1(target == 1, prediction > 0.5, draws)
        return _ranked(metric, target == 1, prediction, draws)
    if metric == "macro_f1":
        return _macro_f1(target.astype(np.int64), np.argmax(prediction, axis=1), prediction.shape[1], draws)
    places = range(prediction.shape[1])
    areas = [_ranked("roc_auc", target == place, prediction[:, place], draws) for place in places]
    return np.asarray(np.mean(areas, axis=0), dtype=np.float64)


def intervals(
    figures: dict[str, float], target: Vector, prediction: Vector, task: Task, draws: Resamples
) -> dict[str, tuple[float, float]]:
    """Return the interval of every metric that has one, of those in ``figures``."""
    found = {}
    for name in figures:
        if name not in ("n", "not_finite") and "not_finite" not in figures:
            ends = interval(resampled(name, target, prediction, task, draws))
            if ends is not None:
                found[name] = ends
    return found


def _ratio(above: Vector, below: Vector) -> Vector:
    ratio: Vector = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return ratio


def _bias(target: Vector, prediction: Vector, draws: Resamples) -> Vector:
    return _ratio(draws.sums(prediction - target), draws.counts())


def _explained(target: Vector, prediction: Vector, draws: Resamples) -> Vector:
    # About the mean of all rows, so that the difference of two large sums keeps its digits.
    away = target - target.mean()
    spread = draws.sums(away**2) - _ratio(draws.sums(away) ** 2, draws.counts())
    return 1 - _ratio(draws.sums((prediction - target) ** 2), spread)


def _f1(true: Truth, said: Truth, draws: Resamples) -> Vector:
    both = draws.sums((true & said).astype(np.float64))
    either = draws.sums(true.astype(np.float64)) + draws.sums(said.astype(np.float64))
    return np.where(either > 0, _ratio(2 * both, either), 0.0)


def _macro_f1(true: npt.NDArray[np.int64], said: npt.NDArray[np.int64], classes: int, draws: Resamples) -> Vector:
    """Average over the classes that a resample has, as truth or as prediction."""
    right = true == said
    both = draws.of(right).cells(true[right], classes)
    either = draws.cells(true, classes) + draws.cells(said, classes)
    scores = np.divide(2 * both, either, out=np.zeros_like(both), where=either > 0)
    return _ratio(scores.sum(axis=1), (either > 0).sum(axis=1).astype(np.float64))


def _ranked(metric: str, true: Truth, score: Vector, draws: Resamples) -> Vector:
    if not 0 < np.count_nonzero(true) < len(true):
        return np.full(len(draws.draws), np.nan)
    exact: Callable[[Truth, Vector], float] = roc_auc if metric == "roc_auc" else average_precision
    over = _areas if metric == "roc_auc" else _precisions
    place = _binned(true, score)
    bins = int(place.max()) + 1
    above, below = draws.of(true).cells(place[true], bins), draws.of(~true).cells(place[~true], bins)
    counted = [np.bincount(place[rows], minlength=bins).astype(np.float64)[None, :] for rows in (true, ~true)]
    moved = exact(true, score) - float(over(counted[0], counted[1])[0])
    return np.asarray(over(above, below) + moved, dtype=np.float64)


def _binned(true: Truth, score: Vector) -> npt.NDArray[np.int64]:
    """Return each score's place among bins that are narrow where either class has many rows."""
    shares = np.linspace(0, 1, _BINS // 2 + 1)
    edges = [np.quantile(score[rows], shares, method="inverted_cdf") for rows in (true, ~true)]
    return np.asarray(np.searchsorted(np.unique(np.concatenate(edges)), score, side="right"), dtype=np.int64)


def _areas(above: Vector, below: Vector) -> Vector:
    """Return the area under the ROC curve of each line of counts by rising score (see `ranking.roc_auc`)."""
    lower = np.cumsum(below, axis=1) - below
    won = np.sum(above * (lower + below / 2), axis=1)
    return _ratio(won, above.sum(axis=1) * below.sum(axis=1))


def _precisions(above: Vector, below: Vector) -> Vector:
    """Return the average precision of each line of counts by rising score (see `ranking.average_precision`)."""
    hits, rows = np.cumsum(above[:, ::-1], axis=1), np.cumsum((above + below)[:, ::-1], axis=1)
    precision = np.divide(hits, rows, out=np.zeros_like(hits), where=rows > 0)
    return _ratio(np.sum(precision * above[:, ::-1], axis=1), above.sum(axis=1))
