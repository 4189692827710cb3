"""How far back a candidate's training rows reach, chosen by what would have served best lately."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from perennial.definitions import METRICS, Task
from perennial.definitions.learning import ALL, SINCE_CHANGE
from perennial.training.backtests import LEAST_ROWS, FitAndPredict, stretches
from perennial.training.evaluation import metrics
from perennial.training.report import WindowTrial
from perennial.training.rows import Rows

UnchangedSince = Callable[[Sequence[float], Sequence[float]], int]
"""A series and the rows of each figure → the place from which it is what it is now, 0 if it never changed."""
PERIODS = 200
"""How finely time is cut to look for a change: a period has 1/200 of the time that the rows span, a day at least."""


def choose_window(
    fit_and_predict: FitAndPredict,
    rows: Rows,
    split_at: datetime,
    holdout: timedelta,
    windows: tuple[str | timedelta, ...],
    *,
    task: Task,
    metric: str,
    unchanged_since: UnchangedSince,
) -> tuple[datetime | None, tuple[WindowTrial, ...]]:
    """Try each window on the latest stretch before ``split_at`` that is as long as the holdout.

    The latest alone judges: the question is which rows teach the world as it is now, and earlier stretches would
    answer for earlier worlds. Nothing of the stretch is known when its windows are laid, a change within it included.

    Parameters
    ----------
    fit_and_predict : callable
        Is given the rows to learn from and the features to predict for.
    rows : Rows
        Those before ``split_at``, in any order.
    windows : tuple
        In the definition's order; of equals the first wins.
    metric : str
        By which they are compared.
    unchanged_since : callable
        Finds the latest change of a series: `perennial.monitoring.change_points`.

    Returns
    -------
    (datetime or None, tuple of WindowTrial)
        The event time from which the candidate learns (None: from the beginning), and what each window came to. Without
        enough rows to judge, the first window is taken.
    """
    (stretch,) = stretches(split_at, holdout, 1)
    earlier, judging = rows.before(stretch.start), rows.since(stretch.start)
    judged: dict[str | timedelta, dict[str, float]] = {}
    learnt: dict[str | timedelta, int] = {}
    for window in windows:
        start = window_start(window, earlier, stretch.start, unchanged_since)
        learning = earlier if start is None else earlier.since(start)
        learnt[window] = len(learning)
        if min(len(learning), len(judging)) < LEAST_ROWS or (
            task != "regression" and len(np.unique(learning.target)) < 2
        ):
            continue
        judged[window] = metrics(judging.target, fit_and_predict(learning, judging.features), task)
    sign = -1.0 if METRICS[task][metric] else 1.0
    told = [window for window in judged if metric in judged[window]]
    best = min(told, key=lambda window: sign * judged[window][metric], default=windows[0])
    trials = tuple(
        WindowTrial(window=_text(window), rows=learnt[window], metrics=judged.get(window, {}), chosen=window == best)
        for window in windows
    )
    return window_start(best, rows, split_at, unchanged_since), trials


def window_start(
    window: str | timedelta, rows: Rows, until: datetime, unchanged_since: UnchangedSince
) -> datetime | None:
    """Return the event time from which a window before ``until`` reaches; None means from the beginning."""
    if isinstance(window, timedelta):
        return until - window
    if window == ALL:
        return None
    assert window == SINCE_CHANGE, f"a window is a length, {ALL!r} or {SINCE_CHANGE!r}, not {window!r}"
    return latest_change(rows, unchanged_since)


def latest_change(rows: Rows, unchanged_since: UnchangedSince) -> datetime | None:
    """Return when the target last began to follow from the features in another way; None if it never did.

    A straight line through all rows leaves a residual at each; its mean by period is the series that is looked at. What
    only the features did, the line explains, so that it moves no residual.
    """
    if len(rows) < LEAST_ROWS:
        return None
    residual = _residual(rows)
    microseconds = rows.event_time.astype("datetime64[us]").astype(np.int64)
    first = int(microseconds.min())
    period = max((int(microseconds.max()) - first) // PERIODS + 1, 24 * 3600 * 1_000_000)
    place = (microseconds - first) // period
    counts = np.bincount(place)
    filled = np.flatnonzero(counts)
    means = np.bincount(place, weights=residual)[filled] / counts[filled]
    changed = unchanged_since(means.tolist(), counts[filled].tolist())
    if changed == 0:
        return None
    return datetime(1970, 1, 1) + timedelta(microseconds=first + int(filled[changed]) * period)


def _residual(rows: Rows) -> npt.NDArray[np.float64]:
    """Return what a straight line through the standardised features leaves of the target; missing values are means."""
    known = np.isfinite(rows.features)
    count = np.maximum(known.sum(axis=0), 1)
    values = np.where(known, rows.features, 0.0)
    mean = values.sum(axis=0) / count
    centred = np.where(known, rows.features - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    design = np.column_stack([np.ones(len(rows)), centred / np.where(spread > 0, spread, 1.0)])
    weights, *_ = np.linalg.lstsq(design, rows.target, rcond=None)
    residual: npt.NDArray[np.float64] = rows.target - design @ weights
    return residual


def _text(window: str | timedelta) -> str:
    return window if isinstance(window, str) else f"{window.total_seconds() / 86400:g} days"
