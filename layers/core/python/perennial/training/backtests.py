"""What a candidate would have reached in earlier times: rolling-origin evaluation. Without scikit-learn.

Each stretch is as long as the holdout and is predicted from what was before it, so that no row of it and none after it
is learnt from (Tashman, "Out-of-sample tests of forecasting accuracy", International Journal of Forecasting 16, 2000).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from perennial.definitions import Task
from perennial.training.evaluation import metrics
from perennial.training.report import Backtest
from perennial.training.rows import Rows, history_start

LEAST_ROWS = 50
"""Rows on either side below which a stretch says nothing."""
Matrix = npt.NDArray[np.float64]
FitAndPredict = Callable[[Rows, Matrix], Matrix]
"""Learns from the rows and predicts for the features, as `perennial.training.evaluation.metrics` wants it."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of event time that judges: from ``start`` to before ``end``."""

    start: datetime
    end: datetime


def stretches(split_at: datetime, holdout: timedelta, count: int) -> tuple[Stretch, ...]:
    """Return the ``count`` stretches of length ``holdout`` that lie before ``split_at``, the earliest first."""
    ends = [split_at - holdout * back for back in reversed(range(count))]
    return tuple(Stretch(end - holdout, end) for end in ends)


def fold(
    rows: Rows, stretch: Stretch, history: timedelta | None, task: Task, least: int = LEAST_ROWS
) -> tuple[Rows, Rows] | None:
    """Return the rows to learn from and those of the stretch, or None if there are too few of either.

    Of classes, the rows to learn from must have two at least.

    Parameters
    ----------
    rows : Rows
        In any order.
    history : timedelta or None
        How far before the stretch the rows to learn from reach; None means from the beginning.
    least : int
        Fewest rows of either.
    """
    start = history_start(stretch.start, history)
    earlier = rows.before(stretch.start)
    learning = earlier if start is None else earlier.since(start)
    judging = rows.since(stretch.start).before(stretch.end)
    if min(len(learning), len(judging)) < least:
        return None
    if task != "regression" and len(np.unique(learning.target)) < 2:
        return None
    return learning, judging


def backtest(
    fit_and_predict: FitAndPredict,
    rows: Rows,
    split_at: datetime,
    holdout: timedelta,
    folds: int,
    *,
    task: Task = "regression",
    history: timedelta | None = None,
    least: int = LEAST_ROWS,
) -> tuple[Backtest, ...]:
    """Judge a way to learn on earlier stretches.

    Parameters
    ----------
    fit_and_predict : callable
        Is given the rows to learn from and the features to predict for, and nothing else.
    rows : Rows
        Those before ``split_at``, in any order and from the beginning; later ones are not looked at.
    split_at : datetime
        Where the last stretch ends.
    holdout : timedelta
        Length of a stretch.
    folds : int
        Most stretches.
    history : timedelta or None
        The candidate's.
    least : int
        Rows on either side below which a stretch is left out.

    Returns
    -------
    tuple of Backtest
        The earliest first; fewer than ``folds`` where there are too few rows.
    """
    found = []
    for stretch in stretches(split_at, holdout, folds):
        parts = fold(rows, stretch, history, task, least)
        if parts is None:
            continue
        learning, judging = parts
        prediction = fit_and_predict(learning, judging.features)
        measured = metrics(judging.target, prediction, task)
        found.append(Backtest(start=stretch.start, end=stretch.end, rows_train=len(learning), metrics=measured))
    return tuple(found)
