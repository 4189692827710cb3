"""Judging a parameter set by backtests: learning from what was before a stretch of time, and predicting it.

The held-out rows are no part of it: what chooses the parameters may not be what judges the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from perennial.definitions import Candidate, Model, Scalar, Task
from perennial.errors import DataError
from perennial.training.backtests import fold, stretches
from perennial.training.candidates import fit, predict
from perennial.training.evaluation import metrics
from perennial.training.problem import Problem
from perennial.training.rows import Rows
from perennial.training.search.ladder import LEAST_ROWS


@dataclass(frozen=True)
class Fold:
    """One backtest: which rows are learnt from, and which later ones are predicted."""

    learning: Rows
    judging: Rows


@dataclass(frozen=True)
class Judged:
    """What came of one: the metric, and how it came about."""

    value: float
    rows: int
    """Rows that were learnt from."""
    defaults: dict[str, Scalar | None]
    """What the estimator has for the parameters of the candidate's space."""


def folds(
    rows: Rows, split_at: datetime, length: timedelta, count: int, history: timedelta | None, task: Task
) -> list[Fold]:
    """Cut the latest stretches off the training rows, each to be predicted from what was before it (rolling origin).

    Parameters
    ----------
    rows : Rows
        The training part, all before ``split_at``.
    split_at : datetime
        Where the held-out rows begin.
    length : timedelta
        Of a stretch: that of the held-out rows.
    count : int
        How many stretches, the latest first. Those without rows, or with none before them, are left out.
    history : timedelta or None
        How far before its stretch a backtest's rows reach; None means all of them.

    Raises
    ------
    DataError
        No stretch is left.
    """
    found = [
        Fold(*parts)
        for stretch in reversed(stretches(split_at, length, count))
        if (parts := fold(rows, stretch, history, task, least=1)) is not None
    ]
    if not found:
        raise DataError(
            "search: no backtest has rows to learn from and rows to judge on; upload older data, lengthen the "
            "candidate's history, or shorten split.holdout"
        )
    return found


def judge(model: Model, candidate: Candidate, problem: Problem, fold: Fold, share: float) -> Judged:
    """Fit a candidate on a share of a fold's rows and measure it.

    Parameters
    ----------
    candidate : Candidate
        With the parameters that are tried, and the space that they come from.
    problem : Problem
        What the training set poses.
    share : float
        Of the rows to learn from: which ones depends on the model's seed alone, and a smaller share is a part of a
        larger one. There are `ladder.LEAST_ROWS` at least, if the fold has them.

    Raises
    ------
    DefinitionError
        The estimator refuses the parameters.
    DataError
        The metric cannot be measured.
    """
    learning = _part(fold.learning, share, model.seed)
    fitted = fit(candidate, learning, model.seed, problem)
    measured = metrics(fold.judging.target, predict(fitted, fold.judging.features), model.task)
    value = measured.get(model.metric)
    if "not_finite" in measured:
        raise DataError(f"{measured['not_finite']:.0f} predictions are not finite numbers")
    if value is None or not np.isfinite(value):
        raise DataError(f"{model.metric} cannot be measured on a backtest: it has rows of one class alone")
    return Judged(value, len(learning), _defaults(fitted.estimator, candidate))


def _part(rows: Rows, share: float, seed: int) -> Rows:
    wanted = max(int(len(rows) * share), LEAST_ROWS)
    if wanted >= len(rows):
        return rows
    order = np.random.default_rng(seed).permutation(len(rows))
    return rows.select(np.sort(order[:wanted]))


def _defaults(estimator: Any, candidate: Candidate) -> dict[str, Scalar | None]:
    known: Mapping[str, Any] = estimator.get_params()
    found = {}
    for name in candidate.space:
        # In a pipeline the estimator's parameters bear its place before their name.
        places = sorted((key for key in known if key == name or key.endswith(f"__{name}")), key=len)
        value = known[places[0]] if places else None
        found[name] = value if isinstance(value, bool | int | float | str) else None
    return found
