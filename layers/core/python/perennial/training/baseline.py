"""What a candidate must beat to be worth anything: a constant guess, and what was last seen to be true."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.definitions import Task
from perennial.errors import DataError
from perennial.sql import identifier, literal
from perennial.training.evaluation import metrics, more_is_better
from perennial.training.rows import EVENT_TIME, TARGET, Rows

Vector = npt.NDArray[np.float64]
CONSTANT, PREVIOUS = "constant", "previous value"


@dataclass(frozen=True)
class Known:
    """What the training rows alone say of the target.

    ``shares`` is of shape (classes,), ``following`` of shape (classes, classes): how often each class (column) came
    right after each class (row). Both are empty of a regression, whose ``mean`` and ``median`` count.
    """

    mean: float
    median: float
    last: float
    """Of the latest row."""
    earliest: datetime
    """Event time of the earliest row."""
    shares: Vector
    following: Vector


@dataclass(frozen=True)
class Baseline:
    """A guess that needs no model."""

    name: str
    prediction: Vector
    """For the held-out rows, as a model's."""
    metrics: dict[str, float]


def read_known(path: Path, classes: tuple[str, ...]) -> Known:
    """Read what a baseline needs of the training part: of all its columns, event time and target only.

    Raises
    ------
    DataError
        The target is of another type than the task's.
    """
    value = _value(path, classes)
    source = f"(SELECT {identifier(EVENT_TIME)} AS happened, {value} AS y FROM read_parquet(?))"
    latest = f"SELECT y FROM {source} ORDER BY happened DESC, y DESC LIMIT 1"
    paired = (
        f"SELECT p, y, count(*) FROM (SELECT y, lag(y) OVER (ORDER BY happened, y) AS p FROM {source}) GROUP BY ALL"
    )
    # One thread: the order in which a mean is added up, hence its last bit, does not depend on the machine.
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            middle = connection.execute(
                f"SELECT avg(y), median(y), min(happened) FROM {source}", [str(path)]
            ).fetchone()
            last = connection.execute(latest, [str(path)]).fetchone()
            pairs = connection.execute(paired, [str(path)]).fetchall() if classes else []
        except duckdb.Error as error:
            raise DataError(f"training set: target: {str(error).splitlines()[0]}", field=TARGET) from error
    if middle is None or middle[0] is None or last is None:
        raise DataError("training set: there are no training rows with a target; upload older data")
    number = len(classes)
    shares, following = np.zeros(number), np.zeros((number, number))
    for before, after, rows in pairs:
        if after is not None:
            shares[int(after)] += rows
            if before is not None:
                following[int(before), int(after)] += rows
    shares /= max(shares.sum(), 1)
    # One imagined row more after each class, spread as classes are: no probability is 0.
    smoothed = (following + shares) / (following.sum(axis=1, keepdims=True) + 1)
    return Known(float(middle[0]), float(middle[1]), float(last[0]), middle[2], shares, smoothed)


def best_baseline(known: Known, holdout: Rows, task: Task, metric: str) -> Baseline:
    """Return the better of the two guesses by the model's metric, the constant one where they are equal.

    The constant is what is best on the training rows: of a regression their median for ``mae``, else their mean; of
    classes the shares (for ``f1`` always ``true``). The previous value is the target of the latest row that happened
    before a row; of classes, how often each class came right after that one among the training rows. It is a hard
    test: in the world, what happened last is often not known yet.
    """
    times, target = holdout.event_time, holdout.target
    constant = np.repeat(_constant(known, task, metric)[None, :], len(target), axis=0)
    order = np.argsort(times, kind="stable")
    earlier = np.searchsorted(times[order], times, side="left") - 1
    last = np.where(earlier >= 0, target[order][np.maximum(earlier, 0)], known.last)
    previous = last[:, None] if task == "regression" else known.following[last.astype(np.int64)]
    guesses = [Baseline(name, guess, metrics(target, guess, task)) for name, guess in (
        (CONSTANT, _shaped(constant, task)), (PREVIOUS, _shaped(previous, task)),
    )]  # fmt: skip
    sign = -1 if more_is_better(metric) else 1
    return min(guesses, key=lambda guess: sign * guess.metrics.get(metric, sign * np.inf))


def _constant(known: Known, task: Task, metric: str) -> Vector:
    if task == "regression":
        return np.array([known.median if metric == "mae" else known.mean])
    return np.array([0.0, 1.0]) if metric == "f1" else known.shares


def _shaped(guess: Vector, task: Task) -> Vector:
    """Return (n, columns) as the task has it: a probability of each class, or one column alone, its last."""
    return guess if task == "multiclass" else np.ascontiguousarray(guess[:, -1])


def _value(path: Path, classes: tuple[str, ...]) -> str:
    """Return SQL of the target as a number: of a text, its place among the classes."""
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    types = {row[0]: row[1] for row in described}
    if TARGET not in types:
        raise DataError(f"training set: there is no column {TARGET!r} among {', '.join(types)}", field=TARGET)
    if types[TARGET] != "VARCHAR" or not classes:
        return f"CAST({identifier(TARGET)} AS DOUBLE)"
    texts = ", ".join(literal(name) for name in classes)
    return f"CAST(list_position([{texts}], {identifier(TARGET)}) - 1 AS DOUBLE)"
