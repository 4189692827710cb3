"""Parts of the held-out rows judged by themselves: what is good on the whole may be bad for some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt

from perennial.definitions import Task
from perennial.records import Record
from perennial.sql import identifier
from perennial.training.bootstrap import Resamples, improvement, interval
from perennial.training.evaluation import metrics, more_is_better
from perennial.training.resampled import resampled

Vector = npt.NDArray[np.float64]
MOST_VALUES = 50
OTHERS, MISSING = "other values", "no value"


class SliceFigures(Record):
    """A model on one slice, beside the champion."""

    name: str
    """The slice's name in the model's definition."""
    value: str
    rows: int
    metric: float | None
    """None where it is undefined, as ``roc_auc`` of rows of one class."""
    interval: tuple[float, float] | None = None
    champion: float | None = None
    improvement: float | None = None
    """Relative to the champion; below 0 the candidate is worse."""
    improvement_interval: tuple[float, float] | None = None


def slice_column(name: str) -> str:
    """Return the held-out rows' column of a slice."""
    return f"slice:{name}"


def read_slices(path: Path, names: Sequence[str]) -> dict[str, npt.NDArray[np.object_]]:
    """Read the texts of slices, object arrays of shape (n,) in the file's order; None where there is no value."""
    if not names:
        return {}
    columns = ", ".join(f"CAST({identifier(slice_column(name))} AS VARCHAR)" for name in names)
    with duckdb.connect() as connection:
        table = connection.execute(f"SELECT {columns} FROM read_parquet(?)", [str(path)]).fetchnumpy()
    found = {}
    for name, values in zip(names, table.values(), strict=True):
        masked = np.ma.asarray(values)
        texts = np.asarray(masked.data, dtype=np.object_)
        texts[np.ma.getmaskarray(masked)] = None
        found[name] = texts
    return found


def slice_figures(
    texts: Mapping[str, npt.NDArray[np.object_]],
    target: Vector,
    prediction: Vector,
    champion: Vector | None,
    *,
    task: Task,
    metric: str,
    draws: Resamples,
) -> tuple[SliceFigures, ...]:
    """Judge a candidate, and the champion, on every value of every slice, those with most rows first.

    Of a slice with more than 50 values, the rest is one more: ``other values``.
    """
    found = []
    for name, values in texts.items():
        for value, rows in _parts(values):
            theirs = None if champion is None else champion[rows]
            found.append(_figures(name, value, target[rows], prediction[rows], theirs, task, metric, draws.of(rows)))
    return tuple(found)


def _parts(values: npt.NDArray[np.object_]) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    texts = np.array([MISSING if value is None else str(value) for value in values], dtype=np.str_)
    distinct, place, counts = np.unique(texts, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    parts = [(str(distinct[index]), place == index) for index in order[:MOST_VALUES]]
    if len(order) > MOST_VALUES:
        parts.append((OTHERS, ~np.isin(place, order[:MOST_VALUES])))
    return parts


def _figures(
    name: str,
    value: str,
    target: Vector,
    prediction: Vector,
    champion: Vector | None,
    task: Task,
    metric: str,
    draws: Resamples,
) -> SliceFigures:
    ours = metrics(target, prediction, task).get(metric)
    theirs = None if champion is None else metrics(target, champion, task).get(metric)
    gain, ends, gain_ends = None, None, None
    if ours is not None:
        on_resamples = resampled(metric, target, prediction, task, draws)
        ends = interval(on_resamples)
        if theirs is not None and champion is not None:
            more = more_is_better(metric)
            gain = float(improvement(ours, theirs, more_is_better=more))
            gain = gain if np.isfinite(gain) else None
            against = resampled(metric, target, champion, task, draws)
            gain_ends = interval(improvement(on_resamples, against, more_is_better=more))
    return SliceFigures(
        name=name, value=value, rows=len(target), metric=ours, interval=ends, champion=theirs,
        improvement=gain, improvement_interval=gain_ends if gain is not None else None,
    )  # fmt: skip
